"""Stage `baselines`: rankers that generate nothing, trained on the same lists, ranking the same documents."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from transformers import PreTrainedTokenizerFast

from arrange.baselines import bm25, cross, dual
from arrange.baselines import reranker as pairs
from arrange.baselines.fitting import List, Recipe
from arrange.data import tables
from arrange.docids.tokens import encode_prompts
from arrange.evaluation import runs
from arrange.models import encoders
from arrange.models import ranker as model
from arrange.training import losses
from arrange.training.examples import judged_lists
from settings import params
from settings.sections import Baseline, FitBaseline, Named, Settings, Vectors
from tasks import stage

Search = Callable[..., pl.DataFrame]  # of candidates: pl.DataFrame | None


def baselines(name: str) -> None:
    """data/<data>, docids/<catalogue>/tokenizer -> runs/<data>/<name>/{run,judged}.{parquet,trec}."""
    settings = params.read()
    baseline = settings.baselines[name]
    train = tables.read(Path("data", baseline.data), splits=["train"])
    asked = tables.read(Path("data", baseline.data), splits=[settings.rank.split])
    search = searcher(baseline, settings, train, asked.queries)
    judged = search(candidates=asked.qrels)
    run = judged if settings.prompt.regime == "in_context" else search(candidates=None)
    for file, table in (("run", run), ("judged", judged)):
        runs.write_run(table, Path("runs", baseline.data, name, f"{file}.parquet"), tag=name)


def searcher(baseline: Baseline, settings: Settings, train: tables.Dataset, queries: pl.DataFrame) -> Search:
    """The baseline of the kind that its settings name, trained: a run of all documents or of `candidates`."""
    if isinstance(baseline, Vectors):
        return from_scratch(baseline, settings, train, queries)
    if not isinstance(baseline, Named):
        return partial(bm25.search, queries, train.documents)
    kind = reranker if baseline.kind == "pairs" else by_name
    return kind(baseline, settings.fit_baseline, train, queries)


def from_scratch(baseline: Vectors, settings: Settings, train: tables.Dataset, queries: pl.DataFrame) -> Search:
    """A dual or a cross encoder whose query encoder is a small transformer with random weights."""
    fit, prompt = settings.fit_baseline, settings.prompt
    tokenizer = PreTrainedTokenizerFast.from_pretrained(
        Path("docids", f"{baseline.data}-{baseline.docids}", "tokenizer")
    )

    def prompts(texts: pl.Series) -> list[list[int]]:
        encoded = encode_prompts(tokenizer, prompt.corpus, texts.to_list(), prompt.query_tokens)
        return [[*head, *tail] for head, tail in encoded]

    learnt, asked = prompts(train.queries["text"]), prompts(queries["text"])
    whole: Any = model.from_scratch(fit.scratch, tokenizer, max(map(len, [*learnt, *asked])), baseline.seed)
    encoder = encoders.LastToken(whole.base_model, baseline.width, baseline.seed)
    vectors = partial(encoders.free_vectors, len(train.documents), baseline.width, baseline.seed)
    ids = queries["query_id"].to_list(), asked, train.documents["doc_id"].to_list()
    recipe = recipe_of(fit, fit.steps, baseline.seed)
    with stage.progress(fit.steps, "steps") as reached:
        if baseline.kind == "dual":
            two = dual.DualEncoder(encoder, vectors(scale=0.02), fit.temperature)
            dual.train(two, learnt, lists(train, fit.alpha), recipe, progress=reached)
            return partial(dual.search, two, *ids)
        one = cross.CrossEncoder(encoder, vectors(scale=1.0), baseline.seed)
        cross.train(one, learnt, lists(train, fit.alpha), recipe, negatives=fit.negatives, progress=reached)
        return partial(cross.search, one, *ids)


def by_name(baseline: Named, fit: FitBaseline, train: tables.Dataset, queries: pl.DataFrame) -> Search:
    """A dual encoder that begins with a pretrained encoder's vectors, of queries and of documents."""
    tokenizer, encoder = encoders.by_name(baseline.model)

    def encode(texts: pl.Series) -> list[list[int]]:
        return encoders.encode(tokenizer, texts.to_list(), baseline.max_tokens)

    two = dual.DualEncoder(encoder, encoder.vectors(encode(train.documents["text"])), fit.temperature)
    if baseline.steps:
        recipe = recipe_of(fit, baseline.steps, baseline.seed, baseline.learning_rate)
        with stage.progress(baseline.steps, "steps") as reached:
            dual.train(two, encode(train.queries["text"]), lists(train, fit.alpha), recipe, progress=reached)
    doc_ids = train.documents["doc_id"].to_list()
    return partial(dual.search, two, queries["query_id"].to_list(), encode(queries["text"]), doc_ids)


def reranker(baseline: Named, fit: FitBaseline, train: tables.Dataset, queries: pl.DataFrame) -> Search:
    """A pretrained transformer that reads each query with each of its candidates, or with the first of BM25."""
    classifier = pairs.by_name(baseline.model, baseline.max_tokens, baseline.seed)
    if baseline.steps:
        recipe = recipe_of(fit, baseline.steps, baseline.seed, baseline.learning_rate)
        texts = train.queries["text"].to_list(), train.documents["text"].to_list()
        with stage.progress(baseline.steps, "steps") as reached:
            weighted = lists(train, fit.alpha)
            pairs.train(classifier, *texts, weighted, recipe, negatives=fit.negatives, progress=reached)

    def search(candidates: pl.DataFrame | None) -> pl.DataFrame:
        first = bm25.search(queries, train.documents).filter(pl.col("rank") <= baseline.first)
        return pairs.rerank(classifier, queries, train.documents, first if candidates is None else candidates)

    return search


def lists(train: tables.Dataset, alpha: float) -> list[List]:
    """The training queries' lists with the weights r^-alpha, which sum to 1."""
    judged = judged_lists(train.queries["query_id"], train.qrels, train.documents["doc_id"])
    weights = [np.exp(losses.weights("item", {"alpha": alpha}, ranks).node_D) for _, ranks in judged]
    return [(rows, weights_D / weights_D.sum()) for (rows, _), weights_D in zip(judged, weights, strict=True)]


def recipe_of(fit: FitBaseline, steps: int, seed: int, learning_rate: float | None = None) -> Recipe:
    rate = learning_rate or fit.learning_rate
    return Recipe(steps, fit.batch_size, rate, fit.warmup, seed, fit.threads)


if __name__ == "__main__":
    stage.run(baselines)
