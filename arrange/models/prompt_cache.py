"""The states of prompts, and of trees of tokens after them.

Every query has one row, whatever the number of its beams. Its prompt is computed once. Tokens are appended after it in
any order, each with a mask of its ancestors and with its depth as position. So nothing in the cache is copied or moved
when beams change places.

B queries, P prompt tokens, A tokens appended so far, Q tokens appended now, H the size of a state.
"""

import inspect
from collections.abc import Sequence
from typing import Protocol
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from arrange.errors import UserError
from arrange.models.attention import tree_mask
from arrange.models.head import ROUNDING, head_of, states


class Context(Protocol):
    """What a search needs of a model. last_BH: the states of the prompts' last tokens."""

    last_BH: Tensor

    def extend(self, token_BQ: Tensor, depth_Q: Tensor, sees_BQA: Tensor) -> Tensor:
        """Append tokens; return their states, B x Q x H.

        depth_Q: 0 for a token that follows the prompt; a single number is the depth of all.
        sees_BQA: which appended tokens each one sees, the Q new ones last: its ancestors and itself.
        """

    def forget(self, count: int) -> None:
        """Drop the last `count` appended tokens."""


class CachedContext:
    """A cache with the keys and values of the prompts, followed by those of the trees."""

    def __init__(self, model: PreTrainedModel, prompts: Sequence[Sequence[int]]) -> None:
        self.model, self.head = model, head_of(model)
        token_BP, length_B = _right_padded(prompts, model.device)
        # Without a configuration the cache drops nothing; with one it drops what has left a sliding window.
        self.cache = DynamicCache()
        self.cached = {_cache_argument(model): self.cache, "use_cache": True}
        # Padding on the right needs no mask: no token of a causal model sees what comes after it.
        state_BPH = states(model, self.head, input_ids=token_BP, **self.cached)
        self.last_BH = state_BPH[torch.arange(len(prompts), device=model.device), length_B - 1]
        self.length_B1 = length_B[:, None]
        place_P = torch.arange(token_BP.shape[1], device=model.device)
        self.position_BK = place_P.expand_as(token_BP)
        self.prompt_B1P = (place_P < self.length_B1)[:, None]

    def extend(self, token_BQ: Tensor, depth_Q: Tensor, sees_BQA: Tensor) -> Tensor:
        position_BQ = (self.length_B1 + depth_Q).expand_as(token_BQ)
        self.position_BK = torch.cat([self.position_BK, position_BQ], 1)
        sees_BQK = torch.cat([self.prompt_B1P.expand(-1, token_BQ.shape[1], -1), sees_BQA], 2)
        return states(
            self.model,
            self.head,
            input_ids=token_BQ,
            position_ids=position_BQ,
            attention_mask=tree_mask(self.model.config, sees_BQK, position_BQ, self.position_BK, self.model.dtype),
            **self.cached,
        )

    def forget(self, count: int) -> None:
        self.cache.crop(-count)
        self.position_BK = self.position_BK[:, :-count]


def _cache_argument(model: PreTrainedModel) -> str:
    """The name of the argument that gives a model its cache; transformers 5.24 has renamed it."""
    return "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"


class PlainContext:
    """For models that take no tree of tokens: a pass over the whole sequence of each token. Slow, but always right."""

    def __init__(self, model: PreTrainedModel, prompts: Sequence[Sequence[int]]) -> None:
        self.model, self.head = model, head_of(model)
        self.prompts = [list(prompt) for prompt in prompts]
        self.token_BA = torch.zeros(len(prompts), 0, dtype=torch.int64, device=model.device)
        self.last_BH = self._last(self.prompts)

    def extend(self, token_BQ: Tensor, depth_Q: Tensor, sees_BQA: Tensor) -> Tensor:
        self.token_BA = torch.cat([self.token_BA, token_BQ], 1)
        paths = [
            prompt + token_A[sees_A].tolist()
            for prompt, token_A, sees_QA in zip(self.prompts, self.token_BA, sees_BQA, strict=True)
            for sees_A in sees_QA
        ]
        return self._last(paths).view(*token_BQ.shape, -1)

    def forget(self, count: int) -> None:
        self.token_BA = self.token_BA[:, :-count]

    def _last(self, sequences: Sequence[Sequence[int]]) -> Tensor:
        token_BP, length_B = _right_padded(sequences, self.model.device)
        state_BPH = states(self.model, self.head, input_ids=token_BP, use_cache=False)
        return state_BPH[torch.arange(len(sequences), device=self.model.device), length_B - 1]


_takes_trees: WeakKeyDictionary[PreTrainedModel, bool] = WeakKeyDictionary()  # finding out takes forward passes


def open_context(model: PreTrainedModel, prompts: Sequence[Sequence[int]]) -> Context:
    """A cached context if the model takes trees (tried once), else a plain one."""
    return CachedContext(model, prompts) if takes_trees(model) else PlainContext(model, prompts)


def takes_trees(model: PreTrainedModel) -> bool:
    """Whether a token gets the same state in a tree, after its sibling, as in a sequence of its own."""
    if model not in _takes_trees:
        was_training = model.training
        _takes_trees[model] = _agrees(model.eval())
        model.train(was_training)
    return _takes_trees[model]


@torch.inference_mode()
def _agrees(model: PreTrainedModel) -> bool:
    try:
        context = CachedContext(model, [[1, 2, 3]])
        sibling_and_token = torch.tensor([[4, 5]], device=model.device)
        alone_QA = torch.eye(2, dtype=torch.bool, device=model.device)[None]
        state_H = context.extend(sibling_and_token, torch.zeros(2, dtype=torch.int64, device=model.device), alone_QA)
        wanted_H = PlainContext(model, [[1, 2, 3, 5]]).last_BH[0]
    except (
        UserError,
        TypeError,
        ValueError,
        RuntimeError,
        IndexError,
        AttributeError,
    ):  # architectures differ in what they raise
        return False
    return bool((state_H[0, 1] - wanted_H).abs().max() <= ROUNDING * wanted_H.abs().max())


def grown(sees_AA: Tensor, parent_E: Tensor) -> Tensor:
    """What each appended token sees after E more are appended, A + E squared.

    parent_E: the index of each new token's parent among the appended ones; -1 for a child of the prompt.
    """
    before, more = len(sees_AA), len(parent_E)
    grown_AA = torch.zeros(before + more, before + more, dtype=torch.bool, device=sees_AA.device)
    grown_AA[:before, :before] = sees_AA
    has_parent_E = parent_E >= 0
    if before:
        grown_AA[before:, :before] = sees_AA[parent_E.clamp(min=0)] & has_parent_E[:, None]
    grown_AA[before:, before:] = torch.eye(more, dtype=torch.bool, device=sees_AA.device)
    return grown_AA


def _right_padded(sequences: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Token ids, B x P, and the sequences' lengths. Padding is token 0; no token sees it."""
    width = max(map(len, sequences))
    rows = [[*sequence, *[0] * (width - len(sequence))] for sequence in sequences]
    return torch.tensor(rows, device=device), torch.tensor([len(sequence) for sequence in sequences], device=device)
