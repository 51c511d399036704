"""The packed pass, second half: a forward pass over prompts and tries gives every docID's log-probability.

The pass and its gradients are exact unless the model has dropout: each token sees what it would in a plain sequence.
Rows that are too long or too unequal for one pass go through the model in several, all of one gradient.
Shapes as in `arrange.training.packing`; H documents of the longest list.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from transformers import PreTrainedModel

from arrange.models.attention import tree_mask
from arrange.models.head import Head
from arrange.models.normaliser import temperature_of

Batch = Mapping[str, Tensor]


def edge_log_probabilities(model: torch.nn.Module, batch: Batch, inner: PreTrainedModel | None = None) -> Tensor:
    """log p(token of the edge | prompt, tokens on the way to it) of each edge of a packed batch. Shape E, nats.

    Arguments as of `log_probabilities`.
    """
    return at_edges(log_probabilities(model, batch, inner), batch)


def at_edges(log_probability_NC: Tensor, batch: Batch) -> Tensor:
    """What `edge_log_probabilities` returns, of what `log_probabilities` does."""
    return log_probability_NC[batch["edge_head"], batch.get("edge_column", batch["edge_token"])]


def log_probabilities(model: torch.nn.Module, batch: Batch, inner: PreTrainedModel | None = None) -> Tensor:
    """log p(token | prompt, tokens on the way) at the N tokens that have edges; only there the output is computed.

    batch: what `packing.pack` returns; it says over which tokens p is normalised, and no logits of others are computed.
    Under `children` the temperature is that of the model's configuration (`arrange.models.normaliser`). inner: the
    language model itself, where `model` wraps it (several GPUs). Shape N x C, nats; C is the vocabulary, or the batch's
    columns.
    """
    inner = model if inner is None else inner  # type: ignore[assignment]  # a compiled module has no truth
    assert inner is not None
    counts = batch["pass"].tolist()
    if len(counts) == 1:
        return _of_pass(model, inner, batch)
    return torch.cat([_of_pass(model, inner, part) for part in _passes(batch, counts)])


def _passes(batch: Batch, counts: Sequence[Sequence[int]]) -> Iterator[Batch]:
    """Batches of one pass each; their outputs one after the other are the N of the whole batch."""
    row = head = 0
    width = batch["input_ids"].shape[1]
    for rows, length, heads in counts:
        if not heads:  # no node of these rows has a target
            row += rows
            continue
        part = {name: batch[name][row : row + rows, :length] for name in ("input_ids", "position_ids", "end")}
        at_N = batch["head"][head : head + heads] - row * width
        part["head"] = at_N // width * length + at_N % width
        part |= {name: batch[name] for name in ("column",) if name in batch}
        if "legal_head" in batch:
            legal = (batch["legal_head"] >= head) & (batch["legal_head"] < head + heads)
            part["legal_head"] = batch["legal_head"][legal] - head
            part["legal_column"] = batch["legal_column"][legal]
        yield part
        row, head = row + rows, head + heads


def _of_pass(model: torch.nn.Module, inner: PreTrainedModel, batch: Batch) -> Tensor:
    """What `log_probabilities` says, of rows that go through the model together."""
    slot_L = torch.arange(batch["input_ids"].shape[1], device=batch["input_ids"].device)
    sees_RLL = (slot_L[None, :] <= slot_L[:, None]) & (slot_L[None, :, None] < batch["end"][:, None, :])
    position_RL = batch["position_ids"]
    mask = tree_mask(inner.config, sees_RLL, position_RL, position_RL, inner.dtype)
    column_C = batch.get("column")
    with _output_at(inner, batch["head"], column_C) as of_columns:
        logits_NC = model(
            input_ids=batch["input_ids"], attention_mask=mask, position_ids=position_RL, use_cache=False
        ).logits.float()
    if column_C is not None and not of_columns:
        logits_NC = logits_NC[:, column_C]
    if "legal_head" in batch:
        legal_NC = torch.zeros_like(logits_NC, dtype=torch.bool)
        legal_NC[batch["legal_head"], batch["legal_column"]] = True
        logits_NC = (logits_NC / temperature_of(inner.config)).masked_fill(~legal_NC, -torch.inf)
    return logits_NC.log_softmax(-1)


@contextmanager
def _output_at(model: PreTrainedModel, head_N: Tensor, column_C: Tensor | None) -> Iterator[bool]:
    """Give the output layer only the tokens `head_N` of the flattened rows. What follows that layer is elementwise.

    A plain output layer computes only the logits of `column_C` as well, if there are some; yields whether it does. One
    with adapters computes all.
    """
    layer = model.get_output_embeddings()
    assert layer is not None
    hook = layer.register_forward_pre_hook(lambda _, inputs: (inputs[0].flatten(0, 1)[head_N],))
    narrow_C = column_C if type(layer) is torch.nn.Linear else None
    if narrow_C is not None:
        layer.forward = Head(layer.weight, layer.bias).of_tokens(narrow_C).all
    try:
        yield narrow_C is not None
    finally:
        hook.remove()
        if narrow_C is not None:
            del layer.forward  # it has that of its class again


def cross_entropy(log_probability_E: Tensor, batch: Batch) -> Tensor:
    """The loss of `arrange.training.losses`, averaged over the queries of the batch (not over tokens or documents)."""
    return -(batch["edge_weight"] * log_probability_E).sum() / batch["queries"]


def document_log_probabilities(log_probability_E: Tensor, batch: Batch) -> Tensor:
    """log P(docID | prompt) of each document, summed over its tokens. Shape D, in the order given to `pack`."""
    path_DT = batch["path"]
    return torch.where(path_DT >= 0, log_probability_E[path_DT.clamp(min=0)], 0.0).sum(1)


def padded(values_D: Tensor, document_query_D: Tensor, filler: float) -> Tensor:
    """Values of the documents as one row per query, B x H, padded with `filler`."""
    count_B = document_query_D.bincount()
    place_D = torch.arange(len(values_D), device=values_D.device) - (count_B.cumsum(0) - count_B)[document_query_D]
    full_BH = values_D.new_full((len(count_B), int(count_B.max())), filler)
    return full_BH.index_put((document_query_D, place_D), values_D)
