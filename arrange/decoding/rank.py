"""Ranking with a finetuned model: beam search in the corpus, full scoring of the candidates in context."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl
import torch
from transformers import PreTrainedModel

from arrange.decoding.beam import beam_search
from arrange.docids.trie import Trie
from arrange.errors import UserError
from arrange.evaluation import runs
from arrange.models.normaliser import Normaliser
from arrange.training import losses
from arrange.training import packed_pass as packed
from arrange.training.examples import (
    Examples,
    Item,
    batch,
    check_length,
    list_weights,
    prompt_of,
    with_ranked_documents,
)
from arrange.training.settings import Score

ScoredRows = list[tuple[int, float]]  # rows of the document table and their scores, best first


def rank(
    model: PreTrainedModel,
    examples: Examples,
    trie: Trie,
    query_ids: Sequence[str],
    doc_ids: Sequence[str],
    *,
    beams: int,
    batch_size: int,
    normaliser: Normaliser,
    score: Score,
    progress: Callable[[int], object] = lambda done: None,
) -> pl.DataFrame:
    """The run of a model over the queries of `examples`: a table of `arrange.evaluation.runs`.

    If prompts show candidates, all of these are scored and ranked by `score`. Otherwise beam search under `normaliser`
    finds `beams` documents of the corpus. query_ids, doc_ids: of the rows of `examples` and of the document table.
    Raises UserError, naming the query, where its prompt is longer than the model's context, and where a score is no
    number.
    """
    check_length(examples, model.config.max_position_embeddings, query_ids)
    if examples.candidate is None:
        prompts = [prompt_of(examples, query) for query in range(len(query_ids))]
        results = beam_search(
            model, prompts, trie, beams=beams, batch_size=batch_size, normaliser=normaliser, progress=progress
        )
        ranked = [top.pairs() for top in results]
    else:
        ranked = rank_lists(model, examples, batch_size, score, progress, normaliser=normaliser)
    for query_id, pairs in zip(query_ids, ranked, strict=True):
        if not pairs or any(math.isnan(value) for _, value in pairs):  # beam search keeps no score that is nan
            what = f"query {query_id}: {model.name_or_path or 'the model'} gives scores that are no numbers (nan)"
            raise UserError(what, "train it again with a lower learning rate or a longer warm-up")
    return runs.make_run(query_ids, ranked, doc_ids, depth=max(map(len, ranked)))


def score_of(config: Any, score: Score) -> Score:
    """`score`, or what validation chose, which the model's configuration keeps: the sum where nothing was chosen."""
    return getattr(config, "docid_score", "sum") if score == "validation" else score


@torch.inference_mode()
def rank_lists(
    model: PreTrainedModel,
    examples: Examples,
    batch_size: int,
    score: Score = "sum",
    progress: Callable[[int], object] = lambda done: None,
    *,
    normaliser: Normaliser = "vocabulary",
) -> list[ScoredRows]:
    """Rank the judged documents of each query; ties by row.

    The score is log P(docID | prompt) in nats under `normaliser`: the `sum` over the docID's tokens, which the losses
    train, their `mean`, by which arXiv 2601.05588 ranks, or that which validation chose.
    """
    model.eval()
    score = score_of(model.config, score)
    rankings: list[ScoredRows] = []
    for rows in _batches(examples, batch_size):
        parts = batch(rows, examples, normaliser=normaliser)
        packed_batch = {name: part.to(model.device) for name, part in parts.items()}
        log_probability_E = packed.edge_log_probabilities(model, packed_batch)
        scores_D = packed.document_log_probabilities(log_probability_E, packed_batch)
        if score == "mean":
            scores_D = scores_D / (packed_batch["path"] >= 0).sum(1)
        values = iter(scores_D.tolist())
        for query, _ in rows:
            scored = [(int(row), next(values)) for row in examples.lists[query][0]]
            rankings.append(sorted(scored, key=lambda pair: (-pair[1], pair[0])))
        progress(len(rankings))
    return rankings


@torch.inference_mode()
def common_loss(
    model: PreTrainedModel, examples: Examples, batch_size: int, normaliser: Normaliser = "vocabulary"
) -> float:
    """The item loss with alpha = 1, in nats per query: one measure of fit for models trained with different losses.

    Queries without a ranked document are left out.
    """
    model.eval()
    examples = with_ranked_documents(examples)
    weights_Q = list_weights(examples, losses.Item(alpha=1.0))
    total = 0.0
    for rows in _batches(examples, batch_size):
        packed_batch = batch(rows, examples, weights_Q, negatives=False, normaliser=normaliser)
        packed_batch = {name: part.to(model.device) for name, part in packed_batch.items()}
        loss = packed.cross_entropy(packed.edge_log_probabilities(model, packed_batch), packed_batch)
        total += loss.item() * len(rows)
    return float(np.round(total / len(examples.prompts), 6))


def _batches(examples: Examples, batch_size: int) -> Iterator[list[Item]]:
    """The queries in order. They have no place in a training, so that their candidates don't depend on the row."""
    count = len(examples.prompts)
    for start in range(0, count, batch_size):
        yield [(query, None) for query in range(start, min(start + batch_size, count))]
