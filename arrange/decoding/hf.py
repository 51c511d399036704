"""The trie inside Hugging Face's `generate`, for those who want to use that function.

There are two ways: a logits processor, for all rows at once, and a function for `prefix_allowed_tokens_fn`, row by row.
`generate` normalises over the vocabulary. If a catalogue has fewer docIDs than beams, it fills up the other beams.

Many models come with a generation_config that samples among the 20 likeliest tokens, say. `generate` follows it unless
it is told otherwise, and then legal docIDs are lost without a word. So both ways take the generation_config that
`generate` will use, and refuse one that doesn't search; `search_config` makes one that does.
R rows, that is sequences; L tokens of each; T generated ones; C legal next tokens of all rows.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor

from arrange.docids.torch_trie import TorchTrie
from arrange.docids.trie import Trie
from arrange.errors import UserError


def search_config(trie: Trie, beams: int) -> GenerationConfig:
    """What makes `generate` search for the `beams` best docIDs, whatever the model's own generation_config says.

    Every score is the sum of a docID's token log-probabilities: nothing is sampled, cut, or made less likely.
    """
    return GenerationConfig(
        do_sample=False,
        num_beams=beams,
        num_return_sequences=beams,
        max_new_tokens=len(trie.max_children_by_depth) - 1,
        length_penalty=0.0,
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
        min_length=0,
        min_new_tokens=0,
    )


def check_search(config: GenerationConfig) -> None:
    """Raise UserError unless `generate` searches with this generation_config.

    None counts as sampling: `generate` then takes the value of the model's own generation_config.
    """
    if config.do_sample is not False:
        cuts = {name: getattr(config, name, None) for name in ("top_k", "top_p", "min_p", "typical_p")}
        said = [f"do_sample {config.do_sample}", *(f"{name} {cut}" for name, cut in cuts.items() if cut is not None)]
        what = f"the generation_config may sample ({', '.join(said)}): legal docIDs would be lost"
        raise UserError(what, "give this and `generate` the one of `search_config`, or one with do_sample=False")


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
    config: the generation_config that `generate` will use.
    device: that of the scores.
    Raises UserError as `check_search`, and at a step where something before it has cut a legal token.

    >>> config = search_config(trie, beams=10)  # doctest: +SKIP
    >>> processor = TrieLogitsProcessor(trie, input_ids.shape[1], pad_token_id=0, config=config)  # doctest: +SKIP
    >>> model.generate(input_ids, generation_config=config, logits_processor=[processor])  # doctest: +SKIP
    """

    def __init__(
        self,
        trie: Trie,
        prompt_length: int,
        pad_token_id: int,
        config: GenerationConfig,
        device: str | torch.device = "cpu",
    ) -> None:
        check_search(config)
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
        legal_RV, score_C = torch.full_like(scores, -torch.inf), scores[row_C, token_C]
        if score_C.isneginf().any():
            token = int(token_C[score_C.isneginf()][0])
            what = f"token {token} is legal, and was cut before the trie was asked (bad_words_ids, suppress_tokens ...)"
            raise UserError(what, "take that out of the generation_config, or out of the logits processors before")
        legal_RV[row_C, token_C] = score_C
        legal_RV[end_R, self.pad_token_id] = scores[end_R, self.pad_token_id]
        return legal_RV


def prefix_allowed_tokens(
    trie: Trie, prompt_length: int, pad_token_id: int, config: GenerationConfig
) -> Callable[[int, Tensor], list[int]]:
    """A function for `generate(prefix_allowed_tokens_fn=...)`. `TrieLogitsProcessor` is faster; same arguments.

    Raises UserError as `check_search`. What cuts a legal token is not seen here.
    """
    check_search(config)

    def allowed(_: int, input_ids_L: Tensor) -> list[int]:
        node = trie.walk(input_ids_L[prompt_length:].tolist())
        if node < 0 or trie.is_leaf([node])[0]:
            return [pad_token_id]
        return trie.token_N[trie.children([node])[1]].tolist()

    return allowed
