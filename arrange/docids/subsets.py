"""Sub-tries without a rebuild: which nodes lead to a document that a query may have.

The documents below a node are a range of sorted places (`arrange.docids.trie`), and a set of documents is a list of
sorted places. So a node is allowed if the set has a place in the node's range. One binary search tells, for any number
of queries and nodes. A filter (a category, a locale, what is in stock) is a set of documents; queries may share it.
torch, which takes seconds to import, is imported where it is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from arrange.docids.trie import Trie
from arrange.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from arrange.docids.torch_trie import TorchTrie


@dataclass(frozen=True, eq=False)
class Subsets:
    """The documents that each query may have. Made by `subset` or `subsets`; on the device that these were given."""

    trie: TorchTrie
    key_P: Tensor  # set number x documents + place, sorted, then a sentinel: all sets are searched as one
    set_B: Tensor | None  # the set of each query; None if all queries have set 0

    def check(self, queries: int) -> None:
        """Raise UserError unless each query has a set."""
        if self.set_B is not None and len(self.set_B) < queries:
            raise UserError(f"{queries} queries, and sets for {len(self.set_B)}", "give each query the number of a set")

    def allowed(self, node_R: Tensor, query_R: Tensor) -> Tensor:
        """Whether each query has a document at or below each node; both of one shape, which may be any."""
        import torch

        set_R = torch.zeros_like(query_R) if self.set_B is None else self.set_B[query_R]
        key_R = set_R * len(self.trie.document_D)
        first_R, end_R = self.trie.places(node_R)
        return self.key_P[torch.searchsorted(self.key_P, key_R + first_R)] < key_R + end_R


def subset(trie: Trie, documents: npt.ArrayLike, device: str | torch.device = "cpu") -> Subsets:
    """The same documents for every query. Arguments and errors as `subsets`.

    >>> import torch
    >>> from arrange.docids.trie import build
    >>> trie = build([[7, 8, 0], [7, 0], [9, 0]])
    >>> nodes = torch.tensor([trie.walk([7]), trie.walk([9])])
    >>> subset(trie, [0, 1]).allowed(nodes, torch.zeros_like(nodes))
    tensor([ True, False])
    """
    return _subsets(trie, [documents], None, device)


def subsets(
    trie: Trie,
    documents: Sequence[npt.ArrayLike],
    set_of_query: npt.ArrayLike | None = None,
    device: str | torch.device = "cpu",
) -> Subsets:
    """One set of documents for each query, or fewer sets that queries share.

    documents: document indices of each set, in any order; a set may be empty.
    set_of_query: the number of each query's set; None if query 0 has set 0, and so on.
    Raises UserError for a document that the trie lacks and for a set that does not exist.
    """
    import torch

    set_B = np.asarray(range(len(documents)) if set_of_query is None else set_of_query, np.int64)
    wrong = np.flatnonzero((set_B < 0) | (set_B >= len(documents)))
    if len(wrong):
        raise UserError(f"query {wrong[0]}: set {set_B[wrong[0]]} of {len(documents)}", "give the number of a set")
    return _subsets(trie, documents, torch.from_numpy(set_B).to(device), device)


def _subsets(
    trie: Trie, documents: Sequence[npt.ArrayLike], set_B: Tensor | None, device: str | torch.device
) -> Subsets:
    import torch

    arrays = [np.asarray(of_set, np.int64) for of_set in documents]
    document_P = np.concatenate([*arrays, np.zeros(0, np.int64)])
    set_P = np.repeat(np.arange(len(arrays)), [len(array) for array in arrays])
    count = len(trie.document_D)
    wrong = np.flatnonzero((document_P < 0) | (document_P >= count))
    if len(wrong):
        what = f"set {set_P[wrong[0]]}: document {document_P[wrong[0]]} of a trie of {count}"
        raise UserError(what, "number documents from 0, by the rows of the docIDs")
    place_D = np.empty(count, np.int64)
    place_D[trie.document_D] = np.arange(count)
    key_P = np.append(np.unique(set_P * count + place_D[document_P]), np.iinfo(np.int64).max)
    return Subsets(trie.on(device), torch.from_numpy(key_P).to(device), set_B)
