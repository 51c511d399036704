"""The trie inside Hugging Face's `generate`, for those who want to use that function.

There are two ways: a logits processor, for all rows at once, and a function for `prefix_allowed_tokens_fn`, row by row.
`generate` normalises over the vocabulary. If a catalogue has fewer docIDs than beams, it fills up the other beams.
R rows, that is sequences; L tokens of each; T generated ones; C legal next tokens of all rows.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from transformers import LogitsProcessor

from arrange.docids.torch_trie import TorchTrie
from arrange.docids.trie import Trie


class Walker:
    """Finds the nodes of many prefixes at once: one binary search per token, over all edges."""

    def __init__(self, trie: TorchTrie) -> None:
        self.trie = trie
        # In the branching part children are ordered by parent, then by token, so the keys are rising.
        branching_M = torch.arange(len(trie.first_child_M), device=trie.token_N.device)
        parent_C, node_C = trie.children(branching_M)
        stored_C = node_C < len(branching_M)
        self.node_C = node_C[stored_C]
        self.key_C = self._key(parent_C[stored_C], trie.tokens(self.node_C))

    def child(self, node_R: Tensor, token_R: Tensor) -> Tensor:
        """The child of each node that its token leads to, or -1; -1 of -1."""
        key_R = self._key(node_R, token_R)
        place_R = torch.searchsorted(self.key_C, key_R).clamp(max=len(self.key_C) - 1)
        child_R = torch.where(self.key_C[place_R] == key_R, self.node_C[place_R], -1)
        only_R, end_R = self.trie.child_range(node_R.clamp(min=0))  # a tail's nodes are stored elsewhere
        is_only_R = (end_R - only_R == 1) & (self.trie.tokens(only_R.clamp(max=len(self.trie.token_N) - 1)) == token_R)
        return torch.where(is_only_R & (node_R >= 0), only_R, child_R)

    def walk(self, token_RT: Tensor) -> Tensor:
        """The node that each row's tokens lead to from the root, or -1."""
        node_R = torch.zeros(len(token_RT), dtype=torch.int64, device=token_RT.device)
        for token_R in token_RT.T:
            node_R = self.child(node_R, token_R)
        return node_R

    def _key(self, node_R: Tensor, token_R: Tensor) -> Tensor:
        return (node_R << 32) + token_R


class TrieLogitsProcessor(LogitsProcessor):
    """Leaves the scores of legal next tokens and sets all others to -inf.

    prompt_length: the width of what `generate` is given, padding included (pad on the left).
    pad_token_id: the only token that may follow a whole docID.
    device: that of the scores.

    >>> processor = TrieLogitsProcessor(trie, input_ids.shape[1], pad_token_id=0)  # doctest: +SKIP
    >>> model.generate(input_ids, num_beams=10, logits_processor=[processor])  # doctest: +SKIP
    """

    def __init__(self, trie: Trie, prompt_length: int, pad_token_id: int, device: str | torch.device = "cpu") -> None:
        self.trie = trie.on(device)
        self.walker = Walker(self.trie)
        self.prompt_length, self.pad_token_id = prompt_length, pad_token_id

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """input_ids: R x L; scores: R x V, of which a new tensor is returned."""
        node_R = self.walker.walk(input_ids[:, self.prompt_length :])
        end_R = (node_R < 0) | self.trie.is_leaf(node_R)  # the docID has ended, with padding behind it or not
        row_R = torch.arange(len(node_R), device=node_R.device)[~end_R]
        place_C, child_C = self.trie.children(node_R[row_R])
        row_C, token_C = row_R[place_C], self.trie.tokens(child_C)
        legal_RV = torch.full_like(scores, -torch.inf)
        legal_RV[row_C, token_C] = scores[row_C, token_C]
        legal_RV[end_R, self.pad_token_id] = scores[end_R, self.pad_token_id]
        return legal_RV


def prefix_allowed_tokens(trie: Trie, prompt_length: int, pad_token_id: int) -> Callable[[int, Tensor], list[int]]:
    """A function for `generate(prefix_allowed_tokens_fn=...)`. `TrieLogitsProcessor` is faster; same arguments."""

    def allowed(_: int, input_ids_L: Tensor) -> list[int]:
        node = trie.walk(input_ids_L[prompt_length:].tolist())
        if node < 0 or trie.is_leaf([node])[0]:
            return [pad_token_id]
        return trie.token_N[trie.children([node])[1]].tolist()

    return allowed
