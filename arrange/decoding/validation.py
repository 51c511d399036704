"""Judged queries, ranked and measured: at each evaluation of a training, by the finished ranker, and for its export."""

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl
from transformers import PreTrainedModel

from arrange.data.tables import About, Dataset
from arrange.decoding.rank import common_loss, rank, rank_lists
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
) -> JudgedQueries:
    """The first `most` queries of a data set, all by default. seed: of the order of judged documents in prompts."""
    queries = dataset.queries.head(most) if most is not None else dataset.queries
    qrels = dataset.qrels.join(queries, on="query_id", how="semi")
    prepared = of_queries(queries, qrels, catalogue, prompt, seed)
    return JudgedQueries(queries["query_id"].to_list(), qrels, prepared, about)


def rank_queries(
    model: PreTrainedModel,
    queries: JudgedQueries,
    catalogue: Catalogue,
    decoding: Decoding,
    score: Score,
    progress: Callable[[int], object] = lambda done: None,
) -> pl.DataFrame:
    """The run of the queries by beam search, without each query's own document where queries are documents."""
    ids = queries.query_ids, catalogue.docids["doc_id"].to_list()
    how = {**decoding.search(), "score": score, "progress": progress}
    run = rank(model, queries.examples, catalogue.trie, *ids, **how)
    return runs.leave_out_itself(run, queries.about.queries_are_documents)


def rank_judged(
    model: PreTrainedModel, queries: JudgedQueries, catalogue: Catalogue, decoding: Decoding, score: Score
) -> pl.DataFrame:
    """The run of each query's judged documents alone. `queries` without candidates in their prompts."""
    lists = rank_lists(model, queries.examples, decoding.batch_size, score, normaliser=decoding.normaliser)
    doc_ids = catalogue.docids["doc_id"].to_list()
    run = runs.make_run(queries.query_ids, lists, doc_ids, depth=max(map(len, lists)))
    return runs.leave_out_itself(run, queries.about.queries_are_documents)


def measure(
    model: PreTrainedModel,
    queries: JudgedQueries,
    catalogue: Catalogue,
    decoding: Decoding,
    score: Score,
    progress: Callable[[int], object] = lambda done: None,
) -> pl.DataFrame:
    """Rank the queries with a model: all measures of each query, as `measures.evaluate` returns them."""
    from arrange.evaluation import measures  # here: it needs the extra `evaluation`, and a training alone doesn't

    return measures.evaluate(rank_queries(model, queries, catalogue, decoding, score, progress), queries.qrels)


def validate(
    model: PreTrainedModel, queries: JudgedQueries, catalogue: Catalogue, decoding: Decoding, score: Score
) -> dict[str, float]:
    """What a training logs at an evaluation: the means of some measures, and `loss`, the common loss.

    Where validation chooses the score, the better one is measured, and the model's configuration keeps which it is: by
    nDCG@10, the sum where both are equal or prompts show no candidates.
    """
    tried: tuple[Score, ...] = (score,)
    if score == "validation":
        tried = ("sum", "mean") if queries.examples.candidate is not None else ("sum",)
    measured = {each: measure(model, queries, catalogue, decoding, each) for each in tried}
    by_score = {each: table.select(pl.col(LOGGED).mean()).row(0, named=True) for each, table in measured.items()}
    best = max(tried, key=lambda each: by_score[each]["nDCG@10"] or 0.0)  # the first of equals
    if score == "validation":
        model.config.docid_score = best
    means = by_score[best]
    return {"loss": common_loss(model, queries.examples, decoding.batch_size, decoding.normaliser)} | means


def means(per_query: pl.DataFrame) -> dict[str, float]:
    """The mean over queries of each measure that applies to any of them."""
    from arrange.evaluation import measures

    row = per_query.select(list(measures.MEASURES)).mean().row(0, named=True)
    return {measure: mean for measure, mean in row.items() if mean is not None}
