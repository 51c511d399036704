"""The part of a trie that one query may use: the documents of its subset."""

from dataclasses import dataclass

import torch
from torch import Tensor

from arrange.docids.subsets import Subsets
from arrange.docids.torch_trie import TorchTrie
from arrange.models.normaliser import Normaliser


@dataclass(frozen=True)
class QueryTrie:
    """A trie, and a query's subset of its documents; all of them if `subsets` is None. N nodes."""

    trie: TorchTrie
    subsets: Subsets | None
    query: int

    def children(self, node_R: Tensor) -> tuple[Tensor, Tensor]:
        """As `TorchTrie.children`, but only the children at or below which the query has documents."""
        row_N, node_N = self.trie.children(node_R)
        if self.subsets is None:
            return row_N, node_N
        allowed_N = self.subsets.allowed(node_N, torch.full_like(node_N, self.query))
        return row_N[allowed_N], node_N[allowed_N]

    def places(self) -> Tensor:
        """The places of the query's documents, rising."""
        count, device = len(self.trie.document_D), self.trie.document_D.device
        if self.subsets is None:
            return torch.arange(count, device=device)
        own = 0 if self.subsets.set_B is None else int(self.subsets.set_B[self.query])
        begin, end = torch.searchsorted(
            self.subsets.key_P, torch.tensor([own, own + 1], device=device) * count
        ).tolist()
        return self.subsets.key_P[begin:end] - own * count

    def is_decided(self, node_N: Tensor, normaliser: Normaliser) -> Tensor:
        """Whether a prefix has the score of a document: it ends the docID, or continues to it with probability 1."""
        if normaliser != "children":
            return self.trie.is_leaf(node_N)
        return self.trie.end_place(node_N) - self.trie.first_place(node_N) == 1

    def steps_to_leaf(self, node_N: Tensor) -> Tensor:
        """How many tokens remain of the docID, for prefixes of one document each."""
        steps_N = torch.zeros_like(node_N)
        while not self.trie.is_leaf(node_N).all():
            steps_N += ~self.trie.is_leaf(node_N)
            node_N = torch.where(self.trie.is_leaf(node_N), node_N, self.trie.child_range(node_N)[0])
        return steps_N
