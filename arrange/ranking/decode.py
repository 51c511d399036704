"""Beam search over the docIDs of a trie: every result is a document of the catalogue.

B queries of a batch, R prefixes that still grow (rows of the model's cache), C candidates (children of
those prefixes), H hypotheses that stay in the beams, P prompt tokens, V vocabulary.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedModel

from arrange.docids.trie import Trie

Ranking = list[tuple[int, float]]


class _Hypotheses(NamedTuple):
    """Prefixes of docIDs, or whole ones, of several queries: one entry each."""

    query_H: Tensor
    node_H: Tensor
    score_H: Tensor
    row_H: Tensor  # the row of the cache that holds its prefix

    def take(self, index: Tensor) -> "_Hypotheses":
        return _Hypotheses(*(field[index] for field in self))

    def join(self, other: "_Hypotheses") -> "_Hypotheses":
        return _Hypotheses(*(torch.cat(pair) for pair in zip(self, other, strict=True)))


def beam_search(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    trie: Trie,
    beams: int,
    batch_size: int,
    pad_token_id: int,
    progress: Callable[[int], object] = lambda done: None,
) -> list[Ranking]:
    """Rank documents for each prompt: (document index, score) pairs, best first, at most `beams`.

    The score is the summed log-probability (nats) of the docID's tokens, end token included, each
    normalised over the whole vocabulary, as Hugging Face's `generate` does, not over the legal
    tokens alone. A finished docID keeps its place in the beam and competes with the prefixes that
    still grow. A catalogue smaller than the beam gives fewer results. Ties go to the finished docID,
    then to the better prefix, then to the lower token.

    model: a decoder-only model (AutoModelForCausalLM); put into evaluation mode.
    prompts: tokens without padding, none of them empty; computed once per query.
    batch_size: queries at once; later steps hold up to batch_size x beams rows.
    progress: called after each batch with the number of queries done so far.

    Exact (the true top `beams`) where the beam is as wide as the catalogue.

    >>> beam_search(model, [[1, 5, 3]], trie, beams=2, batch_size=8, pad_token_id=0)  # doctest: +SKIP
    [[(17, -0.4), (3, -1.9)]]
    """
    model.eval()
    by_length = sorted(range(len(prompts)), key=lambda query: len(prompts[query]))  # least padding
    rankings: list[Ranking] = [[] for _ in prompts]
    tables = _tables(trie, model.device)
    for start in range(0, len(prompts), batch_size):
        batch = by_length[start : start + batch_size]
        found = _search([prompts[query] for query in batch], model, tables, beams, pad_token_id)
        for query, ranking in zip(batch, found, strict=True):
            rankings[query] = ranking
        progress(start + len(batch))
    return rankings


class _Tables(NamedTuple):
    """The trie's arrays on the model's device, as the int64 that indexing wants."""

    token_N: Tensor
    first_child_N1: Tensor
    document_N: Tensor


def _tables(trie: Trie, device: torch.device) -> _Tables:
    arrays = trie.token_N, trie.first_child_N1, trie.document_N
    return _Tables(*(torch.from_numpy(array).to(device, torch.int64) for array in arrays))


@torch.inference_mode()
def _search(
    prompts: list[Sequence[int]], model: PreTrainedModel, trie: _Tables, beams: int, pad_token_id: int
) -> list[Ranking]:
    """The rankings of one batch of prompts."""
    ids_RT, mask_RP = (part.to(model.device) for part in _left_padded(prompts, pad_token_id))
    query_B = torch.arange(len(prompts), device=model.device)
    growing = _Hypotheses(query_B, torch.zeros_like(query_B), torch.zeros_like(query_B, dtype=torch.float32), query_B)
    done = growing.take(query_B[:0])
    cache = None
    while True:
        # T is P for the prompts and 1 from then on. Padding gets position 0; the mask hides it.
        position_RT = (mask_RP.cumsum(1) - 1).clamp(min=0)[:, -ids_RT.shape[1] :]
        output = model(
            input_ids=ids_RT,
            attention_mask=mask_RP,
            position_ids=position_RT,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        cache = output.past_key_values
        best = _best(done.join(_expand(growing, output.logits[:, -1].float(), trie)), beams)
        whole_H = trie.document_N[best.node_H] >= 0
        done, growing = best.take(whole_H), best.take(~whole_H)
        if not len(growing.node_H):
            return _rankings(done, trie, len(prompts))
        # The rows of prefixes that ended or fell out leave the batch; the others may be there twice.
        cache.reorder_cache(growing.row_H)
        mask_RP = torch.nn.functional.pad(mask_RP[growing.row_H], (0, 1), value=1)
        ids_RT = trie.token_N[growing.node_H, None]


def _left_padded(prompts: list[Sequence[int]], pad_token_id: int) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask, both B x P, the prompts' ends aligned."""
    width = max(map(len, prompts))
    ids = [[pad_token_id] * (width - len(prompt)) + list(prompt) for prompt in prompts]
    mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return torch.tensor(ids), torch.tensor(mask)


def _expand(growing: _Hypotheses, logits_RV: Tensor, trie: _Tables) -> _Hypotheses:
    """All children of the growing prefixes, whose rows in the cache are 0..R-1, in order."""
    first_R, end_R = trie.first_child_N1[growing.node_H], trie.first_child_N1[growing.node_H + 1]
    children_R = end_R - first_R
    row_R = torch.arange(len(children_R), device=children_R.device)
    row_C = row_R.repeat_interleave(children_R)
    # Count 0, 1, 2, ... over all candidates, shifted in each row so that it starts at the first child.
    shift_R = first_R - (children_R.cumsum(0) - children_R)
    node_C = torch.arange(len(row_C), device=row_C.device) + shift_R[row_C]
    offset_R = growing.score_H - logits_RV.logsumexp(-1)
    score_C = offset_R[row_C] + logits_RV[row_C, trie.token_N[node_C]]
    return _Hypotheses(growing.query_H[row_C], node_C, score_C, row_C)


def _best(hypotheses: _Hypotheses, beams: int) -> _Hypotheses:
    """The `beams` best of each query, best first; of equal scores the one given first."""
    # Two stable sorts are one sort by (query, falling score, order given), without padding.
    order_C = hypotheses.score_H.argsort(descending=True, stable=True)
    order_C = order_C[hypotheses.query_H[order_C].argsort(stable=True)]
    count_B = hypotheses.query_H.bincount()
    start_B = count_B.cumsum(0) - count_B
    place_C = torch.arange(len(order_C), device=order_C.device) - start_B[hypotheses.query_H[order_C]]
    return hypotheses.take(order_C[place_C < beams])


def _rankings(done: _Hypotheses, trie: _Tables, queries: int) -> list[Ranking]:
    """The finished docIDs, sorted by query and score, as a list per query."""
    rankings: list[Ranking] = [[] for _ in range(queries)]
    documents_H = trie.document_N[done.node_H]
    for query, document, score in zip(done.query_H.tolist(), documents_H.tolist(), done.score_H.tolist(), strict=True):
        rankings[query].append((document, score))
    return rankings
