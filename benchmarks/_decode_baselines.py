"""What benchmarks/decode.py compares with: random docIDs, and five ways to constrain a decoder to them.

A step gets sums of log-probabilities, R rows (queries x beams) x V, each row a prefix of `depth` tokens. It returns the
best sums of each query, 2 x beams or fewer, and what the method keeps for the next step (sentences, nodes).
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from arrange.decoding.beam import BeamSearch, Prefixes
from arrange.docids.torch_trie import TorchTrie

END, FIRST = 2, 3  # the end token, the first token of docIDs
Step = Callable[[Tensor], tuple[Tensor, Any]]
Prefix = Callable[[int, Tensor], list[int]]


class RandomDocids(NamedTuple):
    """DocIDs of 4 to 8 tokens, the end token included, one after the other."""

    tokens_T: NDArray[np.int64]
    offsets_D1: NDArray[np.int64]

    def rows(self) -> list[list[int]]:
        return [row.tolist() for row in np.split(self.tokens_T, self.offsets_D1[1:-1])]

    def matrix(self) -> NDArray[np.int64]:
        """The docIDs sorted, padded with -1. D x 8."""
        length_D = np.diff(self.offsets_D1)
        matrix_DL = np.full((len(length_D), length_D.max()), -1)
        matrix_DL[np.arange(length_D.max()) < length_D[:, None]] = self.tokens_T
        return matrix_DL[np.lexsort(matrix_DL.T[::-1])]


def random_docids(documents: int, vocabulary: int, seed: int = 0) -> RandomDocids:
    """Distinct random docIDs: one that is drawn a second time is dropped, and another one drawn."""
    rng = np.random.default_rng(seed)
    rows_DL = np.zeros((0, 8), np.int64)
    while len(rows_DL) < documents:
        more_DL = rng.integers(FIRST, vocabulary, (documents + 1000, 8))
        last_D = rng.integers(3, 8, len(more_DL))
        more_DL[np.arange(8) == last_D[:, None]] = END
        more_DL[np.arange(8) > last_D[:, None]] = -1
        rows_DL = np.unique(np.concatenate([rows_DL, more_DL]), axis=0)
    rows_DL = rows_DL[np.sort(rng.permutation(len(rows_DL))[:documents])]
    return RandomDocids(rows_DL[rows_DL >= 0], np.concatenate([[0], (rows_DL >= 0).sum(1).cumsum()]))


def dict_trie(rows: Sequence[Sequence[int]]) -> dict[int, Any]:
    """The trie that most generative-retrieval code has: dictionaries of dictionaries."""
    root: dict[int, Any] = {}
    for row in rows:
        node = root
        for token in row:
            node = node.setdefault(token, {})
    return root


def dict_prefixes(root: dict[int, Any], prompt_length: int) -> Prefix:
    """A prefix function for `generate` that goes through the dictionaries from the root."""

    def allowed(_: int, sentence: Tensor) -> list[int]:
        node = root
        for token in sentence[prompt_length:].tolist():
            node = node.get(token, {})
        return list(node) or [0]

    return allowed


def cached_prefixes(root: dict[int, Any], prompt_length: int) -> Prefix:
    """The same with its results kept, by prefix."""
    walk, cache = dict_prefixes(root, prompt_length), {}

    def allowed(batch: int, sentence: Tensor) -> list[int]:
        key = tuple(sentence[prompt_length:].tolist())
        if key not in cache:
            cache[key] = walk(batch, sentence)
        return cache[key]

    return allowed


def best(score_RV: Tensor, sentence_RL: Tensor, beams: int) -> tuple[Tensor, Tensor]:
    """The 2 x beams best over beams x V, and the first `beams` sentences: what each method with a mask returns."""
    queries, vocabulary = len(score_RV) // beams, score_RV.shape[1]
    score_QK, place_QK = score_RV.view(queries, -1).topk(2 * beams)
    first_Q1 = torch.arange(0, len(score_RV), beams, device=score_RV.device)[:, None]
    row_R = (first_Q1 + place_QK[:, :beams] // vocabulary).flatten()
    token_R1 = (place_QK[:, :beams] % vocabulary).flatten()[:, None]
    return score_QK, torch.cat([sentence_RL[row_R], token_R1], 1)


def prefix_step(allowed: Prefix, sentence_RL: Tensor, beams: int) -> Step:
    """As transformers' PrefixConstrainedLogitsProcessor does it."""

    def step(score_RV: Tensor) -> tuple[Tensor, Any]:
        mask_RV = torch.full_like(score_RV, -torch.inf)
        for row, sentence_L in enumerate(sentence_RL):
            mask_RV[row, allowed(row // beams, sentence_L)] = 0
        return best(score_RV + mask_RV, sentence_RL, beams)

    return step


def static_step(trie: TorchTrie, sentence_RL: Tensor, node_R: Tensor, depth: int, beams: int) -> Step:
    """In the manner of STATIC: CSR children, padded to the most that this depth has, scattered into a mask."""
    width = trie.max_children_by_depth[depth]

    def step(score_RV: Tensor) -> tuple[Tensor, Any]:
        child_RW, legal_RW = trie.children_padded(node_R, width)
        mask_RV = torch.full_like(score_RV, -torch.inf)
        token_RW = torch.where(legal_RW, trie.tokens(child_RW), trie.tokens(child_RW[:, :1]))
        return best(score_RV + mask_RV.scatter_(1, token_RW, 0.0), sentence_RL, beams)

    return step


def sorted_step(matrix_DL: NDArray[np.int64], sentence_RL: Tensor, beams: int) -> Step:
    """Binary search in the sorted docIDs, a column at a time, and the distinct tokens of the range that is left."""

    def legal(prefix_T: NDArray[np.int64]) -> NDArray[np.int64]:
        low, high = 0, len(matrix_DL)
        for place, token in enumerate(prefix_T):
            low, high = low + np.searchsorted(matrix_DL[low:high, place], [token, token + 1])
        return np.unique(matrix_DL[low:high, len(prefix_T)])

    def step(score_RV: Tensor) -> tuple[Tensor, Any]:
        mask_RV = torch.full_like(score_RV, -torch.inf)
        for row, prefix_T in enumerate(sentence_RL.cpu().numpy()):
            mask_RV[row, torch.from_numpy(legal(prefix_T)).to(mask_RV.device)] = 0
        return best(score_RV + mask_RV, sentence_RL, beams)

    return step


class Given:
    """Takes the place of a scorer: the states are the log-probabilities themselves."""

    normaliser = "vocabulary"

    def padded(self, score_RV: Tensor, token_RW: Tensor, legal_RW: Tensor) -> Tensor:
        return score_RV.gather(1, token_RW).masked_fill(~legal_RW, -torch.inf)


def our_step(trie: TorchTrie, node_R: Tensor, depth: int, beams: int) -> Step:
    """The step of arrange.decoding.beam, with all its bookkeeping of beams and results."""
    search = BeamSearch(Given(), trie, None, beams)  # type: ignore[arg-type]
    node_BS = node_R.view(-1, beams)
    slots, query_B = (
        Prefixes(node_BS, torch.zeros_like(node_BS, dtype=torch.float32)),
        torch.arange(len(node_BS), device=node_R.device),
    )
    done = search.nothing(len(node_BS), node_BS.device)

    def step(score_RV: Tensor) -> tuple[Tensor, Any]:
        candidates, width = search.candidates(slots, score_RV.view(len(node_BS), beams, -1), query_B, depth)
        _, chosen, parent_BS = search.choose(done, candidates, width, depth)
        return chosen.score_BS, (chosen.node_BS, parent_BS)

    return step
