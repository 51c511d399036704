"""Measures of a ranker on judged queries: at each evaluation of a training, and of the ranker that is exported."""

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl
from transformers import PreTrainedModel

from arrange.data.tables import About, Dataset
from arrange.decoding.rank import common_loss, rank
from arrange.decoding.settings import Decoding
from arrange.docids.catalogue import Catalogue
from arrange.evaluation import runs
from arrange.training.examples import Examples, of_queries
from arrange.training.settings import Prompt, Score

LOGGED = ("nDCG@10", "overlap@3", "R@10")  # the measures that a training logs


@dataclass(frozen=True, eq=False)
class JudgedQueries:
    """Queries ready to be ranked, and their judgements. Made by `judged_queries`. about: of their data set."""

    query_ids: list[str]
    qrels: pl.DataFrame
    examples: Examples
    about: About


def judged_queries(
    dataset: Dataset,
    catalogue: Catalogue,
    prompt: Prompt,
    seed: int,
    about: About,
    most: int | None = None,
    candidates: pl.DataFrame | None = None,
) -> JudgedQueries:
    """The first `most` queries of a data set, all by default. `seed` decides the order of candidates in prompts.

    candidates: the documents that are ranked (query_id, doc_id) in place of the judged ones; an unjudged one counts as
    a judged negative. A query without candidates isn't ranked, but keeps its judgements.
    """
    queries = dataset.queries.head(most) if most is not None else dataset.queries
    qrels = dataset.qrels.join(queries, on="query_id", how="semi")
    lists = qrels
    if candidates is not None:
        lists = candidates.join(qrels, on=["query_id", "doc_id"], how="left", maintain_order="left")
        queries = queries.join(lists, on="query_id", how="semi", maintain_order="left")
    prepared = of_queries(queries, lists, catalogue, prompt, seed)
    return JudgedQueries(queries["query_id"].to_list(), qrels, prepared, about)


def with_an_answer(candidates: pl.DataFrame, qrels: pl.DataFrame) -> pl.DataFrame:
    """The candidates of the queries that have a ranked document among them: the others' lists teach no order."""
    ranked = candidates.join(qrels.drop_nulls("rank"), on=["query_id", "doc_id"], how="semi")
    return candidates.join(ranked, on="query_id", how="semi", maintain_order="left")


def measure(
    model: PreTrainedModel,
    queries: JudgedQueries,
    catalogue: Catalogue,
    decoding: Decoding,
    score: Score,
    progress: Callable[[int], object] = lambda done: None,
) -> pl.DataFrame:
    """Rank the queries with a model: all measures of each query, as `measures.evaluate` returns them."""
    doc_ids = catalogue.docids["doc_id"].to_list()
    run = rank(
        model,
        queries.examples,
        catalogue.trie,
        queries.query_ids,
        doc_ids,
        **decoding.search(),
        score=score,
        progress=progress,
    )
    from arrange.evaluation import measures  # here: it needs the extra `evaluation`, and a training alone doesn't

    run = runs.leave_out_itself(run, queries.about.queries_are_documents)
    return measures.evaluate(run, queries.qrels)


def validate(
    model: PreTrainedModel, queries: JudgedQueries, catalogue: Catalogue, decoding: Decoding, score: Score
) -> dict[str, float]:
    """What a training logs at an evaluation: the means of some measures, and `loss`, the common loss."""
    means = measure(model, queries, catalogue, decoding, score).select(pl.col(LOGGED).mean()).row(0, named=True)
    return {"loss": common_loss(model, queries.examples, decoding.batch_size, decoding.normaliser)} | means


def means(per_query: pl.DataFrame) -> dict[str, float]:
    """The mean over queries of each measure that applies to any of them."""
    from arrange.evaluation import measures

    row = per_query.select(list(measures.MEASURES)).mean().row(0, named=True)
    return {measure: mean for measure, mean in row.items() if mean is not None}
