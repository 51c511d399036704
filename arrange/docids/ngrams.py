"""All n-grams of a corpus as docIDs (SEAL, Bevilacqua et al. 2022, arXiv 2204.10628): which follow, how often, where.

A document is known by any n-gram of its text: any tokens that follow each other in it, up to a greatest length. The
text of the corpus is one array: a separator, the tokens of document 0, a separator, those of document 1, and so on, a
separator at the end. A separator begins the document behind it and ends the one before it, so an n-gram says by
its first or last token that it stands there; inside of an n-gram there is none.

The index is a suffix array as deep as the longest n-gram: the places of the text, sorted by the tokens from there to
the document's end. The places of an n-gram are a range of it. So a node of the implicit trie of all n-grams is a
range and a depth, an n-gram's frequency is the range's length, and a child is found by bisection.
T tokens of the text, S = T - 1 places, D documents, R nodes, C children, V tokens of the vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
import numpy.typing as npt

from arrange.docids.sorting import IntArray
from arrange.errors import UserError

CHUNK = 2**22  # places that are sorted at a time: memory
SCANNED = 2**18  # a node of more places: its children are found by bisection, which costs no memory


@dataclass(frozen=True, eq=False)
class NgramIndex:
    """The n-grams of a corpus. Made by `build`.

    token_T: the text; uint16 where all tokens fit, else int32. begin_D1: the separator before each document, and the
    last one. place_S: the places in the order of their n-grams. separator: its token. length: of the longest n-grams.
    """

    token_T: IntArray
    begin_D1: npt.NDArray[np.int64]
    place_S: npt.NDArray[np.int32]
    separator: int
    length: int

    @cached_property
    def starts(self) -> IntArray:
        """Where the places of each first token begin in place_S; behind the last token, S."""
        counts = np.bincount(self.token_T[:-1], minlength=int(self.token_T.max()) + 1)
        return np.concatenate([[0], np.cumsum(counts)])

    def children(self, first_R: IntArray, end_R: IntArray, depth: int) -> tuple[IntArray, IntArray, IntArray, IntArray]:
        """All n-grams one token longer than those of the nodes first_R .. end_R - 1, in order.

        depth: the nodes' length; with 0 there is one node, the root. Returns row_C (the index of the parent), token_C,
        first_C and end_C. A node that ends a document, or is as long as the longest, has no children: leave it out.
        """
        if not depth:
            token_C = np.flatnonzero(np.diff(self.starts))
            return np.zeros_like(token_C), token_C, self.starts[token_C], self.starts[token_C + 1]
        large_R = end_R - first_R > SCANNED
        parts = [self._scan(np.flatnonzero(~large_R), first_R, end_R, depth)]
        parts += [self._bisect(int(row), first_R, end_R, depth) for row in np.flatnonzero(large_R)]
        row_C, token_C, first_C, end_C = map(np.concatenate, zip(*parts, strict=True))
        order_C = np.argsort(row_C, kind="stable")
        return row_C[order_C], token_C[order_C], first_C[order_C], end_C[order_C]

    def find(self, ngram: Sequence[int]) -> tuple[int, int]:
        """The range of an n-gram; an empty one where no document has it. [] is the root."""
        node = np.array([0]), np.array([len(self.place_S)])
        if len(ngram) > self.length or self.separator in ngram[1:-1]:
            return 0, 0
        for depth, token in enumerate(ngram):
            node = self._bounds(*node, depth, np.array([token]))
            if node[0] == node[1]:
                return 0, 0
        return int(node[0][0]), int(node[1][0])

    def documents(self, place_P: IntArray) -> IntArray:
        """The document of the n-gram that begins at each place of the text."""
        return np.searchsorted(self.begin_D1, place_P, side="right") - 1

    def window(self, place: int) -> list[int]:
        """The longest n-gram from a place of the text on."""
        document = int(self.documents(np.array(place)))
        return self.token_T[place : min(place + self.length, int(self.begin_D1[document + 1]) + 1)].tolist()

    def _scan(self, row_N: IntArray, first_R: IntArray, end_R: IntArray, depth: int) -> tuple[IntArray, ...]:
        """The children of some nodes, from all their places."""
        size_N = end_R[row_N] - first_R[row_N]
        row_P = np.repeat(row_N, size_N)
        at_P = np.arange(len(row_P)) + np.repeat(first_R[row_N] - (np.cumsum(size_N) - size_N), size_N)
        token_P = self.token_T[self.place_S[at_P] + depth].astype(np.int64)
        begins_P = np.ones(len(row_P), bool)
        begins_P[1:] = (token_P[1:] != token_P[:-1]) | (row_P[1:] != row_P[:-1])
        (begin_C,) = np.nonzero(begins_P)
        count_C = np.diff(begin_C, append=len(row_P))
        return row_P[begin_C], token_P[begin_C], at_P[begin_C], at_P[begin_C] + count_C

    def _bisect(self, row: int, first_R: IntArray, end_R: IntArray, depth: int) -> tuple[IntArray, ...]:
        """The children of a node, by looking for all tokens of the vocabulary."""
        token_V = np.arange(len(self.starts) - 1)
        first_V, end_V = (np.full(len(token_V), bound[row]) for bound in (first_R, end_R))
        first_V, end_V = self._bounds(first_V, end_V, depth, token_V)
        (token_C,) = np.nonzero(first_V < end_V)
        return np.full(len(token_C), row), token_C, first_V[token_C], end_V[token_C]

    def _bounds(self, first_R: IntArray, end_R: IntArray, depth: int, token_R: IntArray) -> tuple[IntArray, IntArray]:
        """The range of each node's child by a token; empty where there is none."""

        def bound(above_R: IntArray) -> IntArray:
            low_R, high_R = first_R.copy(), end_R.copy()
            while (open_R := low_R < high_R).any():
                middle_R = (low_R + high_R) // 2
                place_R = self.place_S[np.minimum(middle_R, len(self.place_S) - 1)]
                value_R = self.token_T[np.minimum(place_R + depth, len(self.token_T) - 1)]
                below_R = value_R.astype(np.int64) < above_R
                low_R = np.where(open_R & below_R, middle_R + 1, low_R)
                high_R = np.where(open_R & ~below_R, middle_R, high_R)
            return low_R

        return bound(token_R), bound(token_R + 1)


def build(documents: Sequence[Sequence[int]], separator: int, length: int) -> NgramIndex:
    """The index of documents' tokens, none of which is the separator. Errors as `build_flat`.

    >>> index = build([[7, 8], [8]], separator=0, length=3)
    >>> first, end = index.find([8, 0])
    >>> index.documents(index.place_S[first:end]).tolist(), index.window(0)
    ([0, 1], [0, 7, 8])
    """
    length_D = np.fromiter(map(len, documents), np.int64, len(documents))
    token_T = np.fromiter(chain.from_iterable(documents), np.int64, int(length_D.sum()))
    return build_flat(token_T, np.concatenate([[0], np.cumsum(length_D)]), separator, length)


def build_flat(token_T: IntArray, offsets_D1: IntArray, separator: int, length: int) -> NgramIndex:
    """As `build`, for documents that lie one after the other: d has `token_T[offsets_D1[d]:offsets_D1[d + 1]]`.

    Raises UserError for no documents, one without tokens or with the separator, and 2^31 tokens or more.
    """
    if len(offsets_D1) < 2 or np.diff(offsets_D1).min() < 1:
        raise UserError("n-grams: no documents, or one without tokens", "give every document a text")
    if (token_T == separator).any():
        row = np.searchsorted(offsets_D1, np.flatnonzero(token_T == separator)[0], side="right") - 1
        raise UserError(f"n-grams: document {row} has the separator, token {separator}", "give another separator")
    if len(token_T) + len(offsets_D1) >= 2**31 - length:
        raise UserError(f"n-grams: {len(token_T)} tokens are too many", "index less than 2^31 tokens at a time")
    small = max(int(token_T.max()), separator) < 2**16
    begin_D1 = offsets_D1 + np.arange(len(offsets_D1))
    text_T: IntArray = np.full(len(token_T) + len(offsets_D1), separator, np.uint16 if small else np.int32)
    is_token_T = np.ones(len(text_T), bool)
    is_token_T[begin_D1] = False
    text_T[is_token_T] = token_T
    return NgramIndex(text_T, begin_D1, _sorted_places(text_T, begin_D1, length), separator, length)


def _sorted_places(token_T: IntArray, begin_D1: IntArray, length: int) -> npt.NDArray[np.int32]:
    """The places by the `length` tokens from there; where they are equal, by place. The last one begins nothing.

    Places are sorted in chunks of neighbouring first tokens.
    """
    end_V = np.cumsum(np.bincount(token_T[:-1]))
    place_S = np.empty(len(token_T) - 1, np.int32)
    token = done = 0
    while done < len(place_S):
        end = max(token + 1, int(np.searchsorted(end_V, done + CHUNK, side="right")))
        in_chunk_S = token_T[:-1] >= token
        in_chunk_S &= token_T[:-1] < end
        place_P = np.flatnonzero(in_chunk_S).astype(np.int32)
        place_S[done : done + len(place_P)] = _sorted_chunk(token_T, begin_D1, place_P, length)
        token, done = end, done + len(place_P)
    return place_S


def _sorted_chunk(
    token_T: IntArray, begin_D1: IntArray, place_P: npt.NDArray[np.int32], length: int
) -> npt.NDArray[np.int32]:
    """The places in order. Each pass sorts those that are still tied, as `arrange.docids.sorting` does.

    The key is one integer: the number of the tie, then as many of the next tokens as fit.
    """
    bits = (int(token_T.max()) + 1).bit_length()
    tied_P = np.arange(len(place_P))
    group_P = np.zeros(len(place_P), np.uint64)
    depth = 0
    while len(tied_P) and depth < length:
        digits = min((64 - int(group_P[-1]).bit_length()) // bits, length - depth)
        here_P = place_P[tied_P].astype(np.int64)
        end_P = begin_D1[np.searchsorted(begin_D1, here_P, side="right")]  # the separator behind the document
        key_P = group_P
        for at in range(depth, depth + digits):
            key_P <<= np.uint64(bits)
            next_P = token_T[np.minimum(here_P + at, len(token_T) - 1)].astype(np.uint64) + np.uint64(1)
            next_P[here_P + at > end_P] = 0
            key_P |= next_P
        by_key_P = np.argsort(key_P, kind="stable")
        key_P, place_P[tied_P] = key_P[by_key_P], place_P[tied_P[by_key_P]]
        same_P = np.concatenate([[False], key_P[1:] == key_P[:-1], [False]])
        still_P = same_P[1:] | same_P[:-1]
        tied_P, group_P = tied_P[still_P], np.cumsum(~same_P[:-1], dtype=np.uint64)[still_P]
        depth += digits
    return place_P
