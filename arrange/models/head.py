"""A causal language model in two parts: the body, which gives a state per token, and the output head.

The head is expensive: it computes V logits for every state. Apart from the body, it can compute only the logits of the
tokens that are needed.
R states, H their size, V vocabulary, C columns, that is tokens of the vocabulary.
"""

from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from transformers import PreTrainedModel

ROUNDING = 2e-2  # by what share of the largest number equal results may differ: enough for bfloat16
GATHERED = 2**22  # numbers of the output matrix that are copied at a time


@dataclass(frozen=True, eq=False)
class Head:
    """The output layer, or some of its rows: from states to logits.

    weight_CH: None where the "states" are the model's logits already, because its head is more than a linear layer.
    bias_C: None if there is none. softcap: c in c * tanh(logit / c), as in Gemma 2; None if there is none.
    column_C: the tokens of these rows; None for the whole vocabulary.
    """

    weight_CH: Tensor | None
    bias_C: Tensor | None = None
    softcap: float | None = None
    column_C: Tensor | None = None

    def of_tokens(self, token_C: Tensor) -> "Head":
        """The head of only these tokens."""
        weight_CH, bias_C = (None if rows is None else rows[token_C] for rows in (self.weight_CH, self.bias_C))
        return replace(self, weight_CH=weight_CH, bias_C=bias_C, column_C=token_C)

    def columns(self, state_RH: Tensor) -> int:
        """How many logits `all` returns for each state."""
        if self.column_C is not None:
            return len(self.column_C)
        return state_RH.shape[1] if self.weight_CH is None else len(self.weight_CH)

    def all(self, state_RH: Tensor) -> Tensor:
        """The logits of all tokens of this head, R x C, as float32."""
        if self.weight_CH is None:
            return (state_RH if self.column_C is None else state_RH[:, self.column_C]).float()
        return self._capped(torch.nn.functional.linear(state_RH, self.weight_CH, self.bias_C).float())

    def at(self, state_RH: Tensor, row_N: Tensor, column_N: Tensor) -> Tensor:
        """The logits of single pairs of a state (row_N) and a token (column_N), N of them, as float32."""
        if self.weight_CH is None:
            return state_RH[row_N, column_N].float()
        step = max(1, GATHERED // state_RH.shape[1])
        parts = zip(row_N.split(step), column_N.split(step), strict=True)
        logit_N = torch.cat([(self.weight_CH[columns] * state_RH[rows]).sum(-1) for rows, columns in parts])
        return self._capped((logit_N if self.bias_C is None else logit_N + self.bias_C[column_N]).float())

    def _capped(self, logits: Tensor) -> Tensor:
        return logits if self.softcap is None else self.softcap * torch.tanh(logits / self.softcap)


# by output layer, which adapters put another one around; finding out takes two forward passes
_is_plain: WeakKeyDictionary[torch.nn.Module, bool] = WeakKeyDictionary()


def head_of(model: PreTrainedModel) -> Head:
    """The model's head: from what `states` returns to logits.

    It is the output layer and its softcap, if these give the model's logits. Otherwise it does nothing, and `states`
    runs the whole model.
    """
    layer = model.get_output_embeddings()
    if layer is None:
        return Head(None)
    if layer not in _is_plain:
        _is_plain[layer] = _agrees(model)
    return _output_layer(model) if _is_plain[layer] else Head(None)


def states(model: PreTrainedModel, head: Head, **inputs: Any) -> Tensor:
    """A forward pass without the head, B x T x H. If the head does nothing: with the model's own, B x T x V."""
    if head.weight_CH is None:
        return model(**inputs).logits
    return model.base_model(**inputs).last_hidden_state


def _output_layer(model: PreTrainedModel) -> Head:
    layer = model.get_output_embeddings()
    assert isinstance(layer, torch.nn.Linear)
    softcap = getattr(model.config.get_text_config(), "final_logit_softcapping", None)
    return Head(layer.weight.detach(), None if layer.bias is None else layer.bias.detach(), softcap)


@torch.inference_mode()
def _agrees(model: PreTrainedModel) -> bool:
    """Whether the output layer on the base model's states gives the model's logits; one token is tried."""
    layer = model.get_output_embeddings()
    if not isinstance(layer, torch.nn.Linear) or model.base_model is model:
        return False
    inputs, head = {"input_ids": torch.tensor([[1]], device=model.device), "use_cache": False}, _output_layer(model)
    logits_V, state_H = model(**inputs).logits[0, -1].float(), states(model, head, **inputs)[0, -1]
    if len(state_H) != layer.in_features:
        return False
    return bool((head.all(state_H[None])[0] - logits_V).abs().max() <= ROUNDING * logits_V.abs().max())
