"""The trie on a device: every method takes many nodes at once, and few need to wait for the device.

`arrange.docids.trie` describes the arrays. R nodes that are passed, C children of theirs, W a width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class TorchTrie:
    """A trie's arrays as tensors. Methods return nodes, tokens, rows and documents as int64.

    Made by `Trie.on(device)`; on the CPU it shares the trie's memory.
    """

    token_N: Tensor
    leaf_N: Tensor
    first_child_M: Tensor
    end_child_M: Tensor
    first_place_M: Tensor
    end_place_M: Tensor
    tail_start_D: Tensor
    document_D: Tensor
    max_children_by_depth: tuple[int, ...]

    def tokens(self, node_R: Tensor) -> Tensor:
        """The token that leads to each node, of any shape; 0 for the root."""
        return self.token_N[node_R].long()

    def is_leaf(self, node_R: Tensor) -> Tensor:
        """Whether each node, of any shape, ends a docID."""
        return self.leaf_N[node_R]

    def child_range(self, node_R: Tensor) -> tuple[Tensor, Tensor]:
        """The first child of each node, and the end of its children: they are numbered one after the other."""
        branching_R, at_R = self._branching(node_R)
        first_R = torch.where(branching_R, self.first_child_M[at_R], node_R + 1)
        end_R = torch.where(branching_R, self.end_child_M[at_R], node_R + 2 - self.leaf_N[node_R].long())
        return first_R, end_R

    def children_padded(self, node_R: Tensor, width: int) -> tuple[Tensor, Tensor]:
        """Children of nodes, in the order of their tokens, as two tensors R x W: nodes, and which are real.

        `width`: at least the largest number of children of these nodes (`max_children_by_depth` has it for each
        depth, on the host); children past it are left out. Filler is node 0, the root.
        """
        first_R, end_R = self.child_range(node_R)
        node_RW = first_R[..., None] + torch.arange(width, device=node_R.device)
        legal_RW = node_RW < end_R[..., None]
        return node_RW * legal_RW, legal_RW

    def children(self, node_R: Tensor) -> tuple[Tensor, Tensor]:
        """All children of the nodes, in order: (row_C, node_C), where row_C is the index of the parent in node_R.

        C depends on the data, so this waits for a GPU; `children_padded` does not.
        """
        first_R, end_R = self.child_range(node_R)
        count_R = end_R - first_R
        row_C = torch.arange(len(node_R), device=node_R.device).repeat_interleave(count_R)
        # Count 0, 1, 2, ... over all children, shifted in each row so that it starts at the first child.
        shift_R = first_R - (count_R.cumsum(0) - count_R)
        return row_C, torch.arange(len(row_C), device=node_R.device) + shift_R[row_C]

    def step(self, node_R: Tensor, token_R: Tensor) -> Tensor:
        """The child of each node that a token leads to; -1 where there is none, and for a node that is -1.

        A binary search of all rows at once. Its number of rounds is given by the largest number of children: of these
        nodes on the CPU; of any node on a GPU, since to ask for these nodes' would be to wait for it.
        """
        first_R, end_R = self.child_range(node_R)
        low_R, high_R = first_R, end_R
        on_host = node_R.device.type == "cpu" and len(node_R)
        widest = int((end_R - first_R).max()) if on_host else max(self.max_children_by_depth)
        for _ in range(widest.bit_length()):
            middle_R = (low_R + high_R) // 2
            below_R = (low_R < high_R) & (self._token_at(middle_R) < token_R)
            low_R, high_R = torch.where(below_R, middle_R + 1, low_R), torch.where(below_R, high_R, middle_R)
        exists_R = (node_R >= 0) & (low_R < end_R) & (self._token_at(low_R) == token_R)
        return torch.where(exists_R, low_R, -1)

    def places(self, node_R: Tensor) -> tuple[Tensor, Tensor]:
        """The range of sorted places of the documents below each node, of any shape: its first place and its end."""
        branching_R, at_R = self._branching(node_R)
        # A tail node belongs to the last document whose tail begins at this node or before it.
        beyond_R = torch.searchsorted(self.tail_start_D, node_R.to(self.tail_start_D.dtype), right=True)
        first_R = torch.where(branching_R, self.first_place_M[at_R], beyond_R - 1)
        return first_R, torch.where(branching_R, self.end_place_M[at_R], beyond_R)

    def first_place(self, node_R: Tensor) -> Tensor:
        """The first sorted place of the documents below each node."""
        return self.places(node_R)[0]

    def end_place(self, node_R: Tensor) -> Tensor:
        """The end of the range of sorted places of the documents below each node."""
        return self.places(node_R)[1]

    def documents(self, node_R: Tensor) -> Tensor:
        """The document index of each leaf, of any shape; for an inner node, the first document below it."""
        return self.document_D[self.first_place(node_R)].long()

    def _token_at(self, node_R: Tensor) -> Tensor:
        """As `tokens`, but a node past the last one (the end of a range) is no error."""
        return self.tokens(node_R.clamp(max=len(self.token_N) - 1))

    def _branching(self, node_R: Tensor) -> tuple[Tensor, Tensor]:
        """Which nodes are of the branching part, and where the arrays `*_M` may be read for each."""
        last = len(self.first_child_M) - 1
        return node_R <= last, node_R.clamp(max=last)
