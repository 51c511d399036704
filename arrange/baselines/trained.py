"""A baseline as its settings describe it, trained and ready to rank: one function for each kind."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from transformers import PreTrainedTokenizerFast

from arrange.baselines import bm25, cross, dual, reranker
from arrange.baselines.fitting import FitArguments, List
from arrange.baselines.settings import BaselineEntry, Cross, Dual, Encoder, FitBaseline, Pretrained, Reranker
from arrange.data.tables import Dataset
from arrange.docids.tokens import encode_prompts
from arrange.errors import UserError
from arrange.models import encoders
from arrange.models import ranker as models
from arrange.models.pretrained import most_tokens
from arrange.training.examples import judged_lists
from arrange.training.losses import Item
from arrange.training.settings import Prompt

Search = Callable[..., pl.DataFrame]  # candidates (query_id, doc_id), or None for all documents -> a run
# total and unit of a piece of work -> what is called with how much of it is done
Progress = Callable[[int, str], AbstractContextManager[Callable[[int], object]]]


def train_baseline(
    entry: BaselineEntry,
    fit: FitBaseline,
    train: Dataset,
    queries: pl.DataFrame,
    *,
    tokenizer: PreTrainedTokenizerFast,
    prompt: Prompt,
    progress: Progress,
) -> Search:
    """Train the baseline on `train`; the result ranks `queries`.

    tokenizer, prompt: what small query encoders read, as a ranker of the regime `corpus` does.
    progress: called for each piece of work that takes long, with its total and unit.
    """
    if isinstance(entry, Encoder):
        return pretrained_encoder(entry, fit, train, queries, progress)
    if isinstance(entry, Reranker):
        return pretrained_reranker(entry, fit, train, queries, progress)
    return small(entry, fit, train, queries, tokenizer, prompt, progress)


def small(
    entry: Dual | Cross,
    fit: FitBaseline,
    train: Dataset,
    queries: pl.DataFrame,
    tokenizer: PreTrainedTokenizerFast,
    prompt: Prompt,
    progress: Progress,
) -> Search:
    """A dual or a cross encoder with a small transformer as query encoder, all from random weights."""

    def encode(texts: pl.Series) -> list[list[int]]:
        prompts = encode_prompts(tokenizer, prompt.corpus, texts.to_list(), prompt.query_tokens)
        return [[*head, *tail] for head, tail in prompts]

    learnt, ranked = encode(train.queries["text"]), encode(queries["text"])
    positions = max(map(len, [*learnt, *ranked]))
    whole: Any = models.from_base(Path(entry.model), tokenizer, positions, entry.seed)
    encoder = encoders.LastToken(whole.base_model, entry.width, entry.seed)
    vectors = partial(encoders.free_vectors, len(train.documents), entry.width, entry.seed)
    ids = queries["query_id"].to_list(), ranked, train.documents["doc_id"].to_list()
    arguments, lists = fit_arguments(fit, entry.seed), weighted_lists(train, fit.alpha)
    if isinstance(entry, Dual):
        dual_encoder = dual.DualEncoder(encoder, vectors(scale=0.02), fit.temperature)
        with progress(fit.steps, "steps") as reached:
            dual.train(dual_encoder, learnt, lists, arguments, progress=reached)
        return partial(dual.search, dual_encoder, *ids)
    cross_encoder = cross.CrossEncoder(encoder, vectors(scale=1.0), entry.seed)
    with progress(fit.steps, "steps") as reached:
        cross.train(cross_encoder, learnt, lists, arguments, negatives=fit.negatives, progress=reached)
    return partial(cross.search, cross_encoder, *ids)


def pretrained_encoder(
    entry: Encoder, fit: FitBaseline, train: Dataset, queries: pl.DataFrame, progress: Progress
) -> Search:
    """A dual encoder that begins with a pretrained encoder's vectors, of queries and of documents."""
    tokenizer, encoder = encoders.by_name(entry.model)
    check_tokens(entry, most_tokens(encoder.body, tokenizer))

    def encode(texts: pl.Series) -> list[list[int]]:
        return encoders.encode(tokenizer, texts.to_list(), entry.max_tokens)

    with progress(len(train.documents), "documents") as reached:
        table_DN = encoder.vectors(encode(train.documents["text"]), progress=reached)
    model = dual.DualEncoder(encoder, table_DN, fit.temperature)
    if entry.steps:
        lists, arguments = weighted_lists(train, fit.alpha), pretrained_arguments(entry, fit)
        with progress(entry.steps, "steps") as reached:
            dual.train(model, encode(train.queries["text"]), lists, arguments, progress=reached)
    doc_ids = train.documents["doc_id"].to_list()
    return partial(dual.search, model, queries["query_id"].to_list(), encode(queries["text"]), doc_ids)


def pretrained_reranker(
    entry: Reranker, fit: FitBaseline, train: Dataset, queries: pl.DataFrame, progress: Progress
) -> Search:
    """A pretrained transformer that reads a query with each candidate; without candidates, with the first of BM25."""
    classifier = reranker.by_name(entry.model, entry.max_tokens, entry.seed, to_train=entry.steps > 0)
    check_tokens(entry, most_tokens(classifier.body, classifier.tokenizer))
    if entry.steps:
        texts = train.queries["text"].to_list(), train.documents["text"].to_list()
        lists, arguments = weighted_lists(train, fit.alpha), pretrained_arguments(entry, fit)
        with progress(entry.steps, "steps") as reached:
            reranker.train(classifier, *texts, lists, arguments, negatives=entry.negatives, progress=reached)

    def search(candidates: pl.DataFrame | None) -> pl.DataFrame:
        if candidates is None:
            candidates = bm25.search(queries, train.documents).filter(pl.col("rank") <= entry.first)
        with progress(len(queries), "queries") as reached:
            return reranker.rerank(classifier, queries, train.documents, candidates, progress=reached)

    return search


def check_tokens(entry: Pretrained, most: int) -> None:
    """Raise UserError where a text may have more tokens than the transformer reads."""
    if entry.max_tokens > most:
        raise UserError(f"max_tokens is {entry.max_tokens}, and {entry.model!r} reads {most}", f"give {most} or fewer")


def weighted_lists(train: Dataset, alpha: float) -> list[List]:
    """The training queries' lists with the weights r^-alpha, which sum to 1."""
    judged = judged_lists(train.queries["query_id"], train.qrels, train.documents["doc_id"])
    weights = [np.exp(Item(alpha=alpha).weights(ranks_D).node_D) for _, ranks_D in judged]
    return [(rows_D, weights_D / weights_D.sum()) for (rows_D, _), weights_D in zip(judged, weights, strict=True)]


def fit_arguments(fit: FitBaseline, seed: int) -> FitArguments:
    """How a baseline with this seed is trained."""
    return FitArguments(fit.steps, fit.batch_size, fit.learning_rate, fit.warmup, seed, fit.threads)


def pretrained_arguments(entry: Pretrained, fit: FitBaseline) -> FitArguments:
    """How a pretrained baseline is trained: with its own number of steps and learning rate."""
    batch_size = entry.batch_size if isinstance(entry, Reranker) else fit.batch_size
    return FitArguments(entry.steps, batch_size, entry.learning_rate, fit.warmup, entry.seed, fit.threads)
