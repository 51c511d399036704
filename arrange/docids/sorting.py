"""DocIDs sorted by their tokens, vectorised: a radix sort whose digits are as many tokens as fit into 64 bits.

D documents, T tokens of all docIDs, one after the other.
"""

import numpy as np
import numpy.typing as npt

from arrange.errors import UserError

IntArray = npt.NDArray[np.integer]


def sort_docids(tokens_T: IntArray, offsets_D1: IntArray) -> tuple[IntArray, IntArray]:
    """The documents in the order of their tokens, and how many tokens each shares with the one before.

    Document d has the tokens `tokens_T[offsets_D1[d]:offsets_D1[d + 1]]`. Returns two arrays of length D: document
    indices, and lengths of common prefixes (0 for the first).
    Raises UserError, naming the rows, for two equal docIDs or one that begins another.

    Each pass sorts the documents that are still tied. The key is one integer: the number of the tie, then the next
    tokens. So a pass is one `np.argsort`, and documents whose place is known take no further part.

    >>> sort_docids(np.array([7, 8, 0, 7, 0]), np.array([0, 3, 5]))
    (array([1, 0]), array([0, 1]))
    """
    length_D = np.diff(offsets_D1)
    bits = (int(tokens_T.max()) + 1).bit_length()
    order_D, shared_D = np.arange(len(length_D)), np.zeros(len(length_D), np.int64)
    tied_P = order_D.copy()  # places whose documents still equal a neighbour
    group_P = np.zeros(len(tied_P), np.uint64)
    depth = 0
    while len(tied_P) and depth < length_D.max():
        digits = min((64 - int(group_P[-1]).bit_length()) // bits, length_D.max() - depth)
        key_P = group_P
        for at in range(depth, depth + digits):
            key_P = key_P << np.uint64(bits) | _column(tokens_T, offsets_D1, length_D, order_D[tied_P], at)
        by_key_P = np.argsort(key_P)
        key_P, order_D[tied_P] = key_P[by_key_P], order_D[tied_P[by_key_P]]
        for last in range(digits):  # of two neighbours with the same first tokens: one more in common
            shift = np.uint64(bits * last)
            shared_D[tied_P[1:]] += key_P[1:] >> shift == key_P[:-1] >> shift
        same_P = np.concatenate([[False], key_P[1:] == key_P[:-1], [False]])
        still_P = same_P[1:] | same_P[:-1]
        tied_P, group_P = tied_P[still_P], np.cumsum(~same_P[:-1], dtype=np.uint64)[still_P]
        depth += digits
    _refuse_swallowed(length_D[order_D], shared_D, order_D)
    return order_D, shared_D


def _column(
    tokens_T: IntArray, offsets_D1: IntArray, length_D: IntArray, document_P: IntArray, at: int
) -> npt.NDArray[np.uint64]:
    """Token number `at` of the documents, plus 1; 0 where the docID is shorter, so that it sorts first."""
    token_P = tokens_T[np.minimum(offsets_D1[document_P] + at, len(tokens_T) - 1)].astype(np.int64) + 1
    return np.where(length_D[document_P] > at, token_P, 0).astype(np.uint64)


def _refuse_swallowed(length_D: IntArray, shared_D: IntArray, order_D: IntArray) -> None:
    """Raise UserError if a docID equals the next one or is its beginning: it would have no leaf."""
    swallowed = np.flatnonzero(shared_D[1:] >= length_D[:-1])
    if len(swallowed):
        at = swallowed[0]
        rows = "rows {} and {}".format(*sorted(order_D[at : at + 2].tolist()))
        if length_D[at] == length_D[at + 1]:
            raise UserError(f"docIDs, {rows}: the two are equal", "give the documents different docIDs")
        raise UserError(f"docIDs, {rows}: one begins the other", "end every docID with the end token")
