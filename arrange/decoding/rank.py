"""Ranking with a finetuned model: beam search in the corpus, full scoring of the candidates in context."""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np
import polars as pl
import torch
from transformers import PreTrainedModel

from arrange.decoding.beam import beam_search
from arrange.decoding.scoring import Normaliser
from arrange.docids.trie import Trie
from arrange.evaluation import runs
from arrange.training import packed_pass as packed
from arrange.training.examples import Examples, batch, prompt_of
from arrange.training.losses import weights

Score = Literal["sum", "mean"]
Ranking = list[tuple[int, float]]


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

    Where prompts show candidates, these are scored in full and ranked by `score`; else `beams` documents of the
    corpus are found by beam search under `normaliser`. `doc_ids` are those of the document rows.
    """
    if examples.candidate is None:
        prompts = [prompt_of(examples, query, query) for query in range(len(query_ids))]
        searched = beam_search(
            model, prompts, trie, beams=beams, batch_size=batch_size, normaliser=normaliser, progress=progress
        )
        ranked = [found.pairs() for found in searched]
    else:
        ranked = rank_lists(model, examples, batch_size, score, progress)
    return runs.make_run(query_ids, ranked, doc_ids, depth=max(map(len, ranked)))


@torch.inference_mode()
def rank_lists(
    model: PreTrainedModel,
    examples: Examples,
    batch_size: int,
    score: Score = "sum",
    progress: Callable[[int], object] = lambda done: None,
) -> list[Ranking]:
    """Rank the judged documents of each query: (document row, score) pairs, best first; ties by row.

    The score is log P(docID | prompt), all tokens of the vocabulary competing, in nats: the `sum` over the docID's
    tokens, which the losses train, or their `mean`, which arXiv 2601.05588 ranks by.
    """
    model.eval()
    rankings: list[Ranking] = []
    for rows in _batches(examples, batch_size):
        packed_batch = {name: part.to(model.device) for name, part in batch(rows, examples).items()}
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
def common_loss(model: PreTrainedModel, examples: Examples, batch_size: int) -> float:
    """The item loss with alpha = 1, nats per query: one measure of fit for models trained with any loss."""
    model.eval()
    weights_Q = [weights("item", {"alpha": 1.0}, ranks_D) for _, ranks_D in examples.lists]
    total = 0.0
    for rows in _batches(examples, batch_size):
        packed_batch = batch(rows, examples, weights_Q, negatives=False)
        packed_batch = {name: part.to(model.device) for name, part in packed_batch.items()}
        loss = packed.cross_entropy(packed.edge_log_probabilities(model, packed_batch), packed_batch)
        total += loss.item() * len(rows)
    return float(np.round(total / len(examples.prompts), 6))


def _batches(examples: Examples, batch_size: int) -> Iterator[list[tuple[int, int]]]:
    """The queries in order, each in the place of its row (which decides the order of its candidates)."""
    count = len(examples.prompts)
    for start in range(0, count, batch_size):
        yield [(query, query) for query in range(start, min(start + batch_size, count))]
