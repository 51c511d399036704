"""Measures of a run against the qrels, one value per query. `arrange.evaluation.statistics` has their means and tests.

To add a measure, write a function of a run and the qrels like `kendall` and enter it in `MEASURES`, at the end of this
file. A data set shows it where its own `measures` name it.

A run is a table of `arrange.evaluation.runs`. Qrels have query_id, doc_id, rank (1 is best, equal ranks are ties) and
gain. The documents with a rank are a query's true documents. Those without a rank are judged negatives. Every query of
the qrels counts: a query that the run lacks gets the worst value (0, and 1 in CVR).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np
import polars as pl

from arrange.errors import extra

with extra("evaluation"):
    import ir_measures
    from ir_measures import AP, RR, R, Success, nDCG

EXPONENTIAL = "nDCG(dcg='exp-log2')@10"  # as the package ir_measures calls it
LARGEST_GAIN = 1000  # 2**1024 is beyond float64
MISSING = pl.Int32.max()  # the place of a document that the run lacks: below all others
DEPTH = 10
LOG2 = pl.Series(np.log2(np.arange(2, DEPTH + 2)))  # the discounts of the places 1 to 10, inverted


@dataclass(frozen=True)
class Definition:
    """What a column of a table means: one sentence, where it comes from, and which direction is better."""

    text: str
    source: str = ""
    better: Literal["higher", "lower", "-"] = "higher"


@dataclass(frozen=True)
class Measure(Definition):
    """A definition and what computes it: the package ir_measures, or a function of run and qrels.

    compute: a measure of ir_measures, or a function that returns a table of query_id and value, null where the measure
    does not apply to a query. of_order: it says something where the set of documents is given and they are only put in
    order.
    """

    compute: Any = field(kw_only=True)
    of_order: bool = field(kw_only=True)


def evaluate(run: pl.DataFrame, qrels: pl.DataFrame) -> pl.DataFrame:
    """All measures for each query of the qrels: query_id (sorted) and a Float64 column for each of `MEASURES`.

    Null: the measure does not apply to the query. An empty run is a run without any of the queries.
    """
    table = qrels.select("query_id").unique().sort("query_id")
    standard = [name for name, measure in MEASURES.items() if isinstance(measure.compute, ir_measures.Measure)]
    table = table.join(by_ir_measures(run, qrels, standard), on="query_id", how="left", maintain_order="left")
    for name, measure in MEASURES.items():
        if name not in standard:
            values = measure.compute(run, qrels).select("query_id", pl.col("value").cast(pl.Float64).alias(name))
            table = table.join(values, on="query_id", how="left", maintain_order="left")
    return table.select("query_id", *MEASURES)


def by_ir_measures(run: pl.DataFrame, qrels: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Measures that the package ir_measures computes, with trec_eval underneath: query_id and a column for each."""
    # trec_eval breaks ties of scores by document id and ignores ranks, so the rank becomes the score.
    scores = _nested(run.select("query_id", "doc_id", -pl.col("rank").cast(pl.Float64)))
    gains = _nested(qrels.select("query_id", "doc_id", "gain"))
    relevant = _nested(qrels.select("query_id", "doc_id", pl.col("rank").is_not_null().cast(pl.Int32)))
    wanted: dict[Any, str] = {MEASURES[name].compute: name for name in names}
    graded = [each for each in wanted if each == nDCG @ 10]
    binary = [each for each in wanted if each != nDCG @ 10]
    rows = [
        (value.query_id, wanted[value.measure], value.value)
        for chosen, relevance in ((graded, gains), (binary, relevant))
        if chosen  # ir_measures takes no empty list
        for value in ir_measures.iter_calc(chosen, relevance, scores)
    ]
    table = pl.DataFrame(rows, schema={"query_id": pl.String, "name": pl.String, "value": pl.Float64}, orient="row")
    wide = table.group_by("query_id").agg(pl.col("value").filter(name=name).first().alias(name) for name in names)
    return qrels.select("query_id").unique().join(wide, on="query_id", how="left").fill_null(0.0)


def _nested(table: pl.DataFrame) -> dict[str, dict[str, float]]:
    nested: dict[str, dict[str, float]] = {}
    for query_id, doc_id, value in table.iter_rows():
        nested.setdefault(query_id, {})[doc_id] = value
    return nested


def exponential_ndcg(run: pl.DataFrame, qrels: pl.DataFrame) -> pl.DataFrame:
    """nDCG@10 with the gains 2^gain - 1. Null where a gain is above 1000: 10^6 / rank has no exponential."""
    gain = 2.0 ** pl.col("gain").cast(pl.Float64) - 1  # computed here: ir_measures would start a Perl script for it
    reached = _with_places(run, qrels).sort("query_id", "place")
    best = qrels.sort("query_id", "gain", descending=[False, True]).with_columns(
        place=pl.int_range(1, pl.len() + 1).over("query_id")
    )
    return (
        _dcg(best, gain)
        .rename({"dcg": "best"})
        .join(_dcg(reached, gain), on="query_id", how="left")
        .join(qrels.group_by("query_id").agg(largest=pl.col("gain").max()), on="query_id")
        .with_columns(value=(pl.col("dcg").fill_null(0) / pl.col("best")).fill_nan(0))
        .select("query_id", pl.when(pl.col("largest") <= LARGEST_GAIN).then("value").alias("value"))
    )


def _dcg(placed: pl.DataFrame, gain: pl.Expr) -> pl.DataFrame:
    """The discounted gains of the places 1 to 10. Rows are in the order of the places, in which they are summed."""
    discount = pl.lit(LOG2).gather(pl.col("place") - 1)
    return (
        placed.filter(pl.col("place") <= DEPTH)
        .select("query_id", dcg=gain / discount)
        .group_by("query_id", maintain_order=True)
        .agg(pl.col("dcg").sum())
    )


def judged(run: pl.DataFrame, qrels: pl.DataFrame) -> pl.DataFrame:
    """judged@10: the share of the first 10 places that hold a judged document; a short run has empty places."""
    keys = qrels.select("query_id", "doc_id", is_judged=True)
    first = run.filter(pl.col("rank") <= DEPTH).join(keys, on=["query_id", "doc_id"], how="left")
    shares = first.group_by("query_id").agg(value=pl.col("is_judged").fill_null(False).sum() / DEPTH)
    queries = qrels.select("query_id").unique()
    return queries.join(shares, on="query_id", how="left").with_columns(pl.col("value").fill_null(0))


def overlap(run: pl.DataFrame, qrels: pl.DataFrame, k: int) -> pl.DataFrame:
    """overlap@k = |true top k, run's top k| / min(k, n), where n is the number of the query's true documents.

    This is R@k of arXiv 2601.05588, which has no ties. Where documents tie across the cut, every order of them is
    true, and the order that suits the run best counts. A perfect run so scores 1, and of the tied documents no more
    count than fit above the cut.
    """
    true = _true(qrels).select(
        "query_id",
        "doc_id",
        tier="rank",
        better=pl.col("rank").rank("min").over("query_id") - 1,
        cut=pl.min_horizontal(pl.lit(k), pl.len().over("query_id")),
    )
    hits = (
        true.filter(pl.col("better") < pl.col("cut"))
        .join(run.filter(pl.col("rank") <= k), on=["query_id", "doc_id"], how="left")
        .group_by("query_id", "tier", "better", "cut")
        .agg(hits=pl.col("rank").count())
        .with_columns(hits=pl.min_horizontal("hits", pl.col("cut") - pl.col("better")))
    )
    return hits.group_by("query_id").agg(value=pl.col("hits").sum() / pl.col("cut").first())


def kendall(run: pl.DataFrame, qrels: pl.DataFrame) -> pl.DataFrame:
    """tau_b: Kendall's tau-b of true ranks and the run's order, over the query's true documents.

    Documents that the run lacks come last, tied. 0 where the run orders none of them. Null where all true ranks are
    equal, because there is no order to find.
    """
    lists = _with_places(run, _true(qrels)).group_by("query_id").agg("rank", "place")
    taus = [_tau_b(*(column.to_numpy() for column in both)) for both in zip(lists["rank"], lists["place"], strict=True)]
    return lists.select("query_id", value=pl.Series(taus, dtype=pl.Float64))


def _tau_b(ranks_D: np.ndarray, places_D: np.ndarray) -> float | None:
    """(agreeing - disagreeing pairs) / sqrt(pairs of unequal ranks x pairs of unequal places), to scipy's last digit.

    scipy's own finds a p-value too and takes 17 times as long, more than all other measures of a run.
    """
    ranks_DD, places_DD = (np.sign(np.subtract.outer(one, one)) for one in (ranks_D.astype(int), places_D.astype(int)))
    unequal_ranks, unequal_places = (np.count_nonzero(signs_DD) // 2 for signs_DD in (ranks_DD, places_DD))
    if not unequal_ranks:
        return None
    if not unequal_places:
        return 0.0
    difference = np.sum(ranks_DD * places_DD) // 2
    return float(np.clip(difference / np.sqrt(unequal_ranks) / np.sqrt(unequal_places), -1, 1))


def pairs(run: pl.DataFrame, qrels: pl.DataFrame) -> pl.DataFrame:
    """pairs: the share of pairs of judged documents of different rank in which the better document comes first.

    Judged negatives are the last rank. Pairs of one rank don't count, so that the measure is defined for tiers (graded
    labels) and for lists. A document that the run lacks is below all that it has. Of two such documents neither comes
    first. Null where all ranks are equal.
    """
    judged = _with_places(run, qrels).select("query_id", "place", tier=pl.col("rank").fill_null(MISSING))
    return (
        judged.join(judged, on="query_id", suffix="_other")
        .filter(pl.col("tier") < pl.col("tier_other"))
        .group_by("query_id")
        .agg(value=(pl.col("place") < pl.col("place_other")).mean())
    )


def violations(run: pl.DataFrame, qrels: pl.DataFrame) -> pl.DataFrame:
    """CVR, the constraint violation rate: 1 where a judged negative is above a true document, else 0.

    Its mean over queries is the rate of arXiv 2601.05588, as we read that paper. "Above" is as in `pairs`, so a
    negative that the run lacks violates nothing. A query that the run lacks counts 1. Null where the query has no
    negative. One negative in a random order with n documents gives n / (n + 1).
    """
    is_negative, place = pl.col("rank").is_null(), pl.col("place")
    is_missing = ~pl.col("query_id").is_in(run["query_id"].unique().implode())
    is_above = place.filter(is_negative).min() < place.filter(~is_negative).max()
    return (
        _with_places(run, qrels)
        .group_by("query_id")
        .agg(is_above=is_above, has_negative=is_negative.any())
        .select("query_id", value=pl.when("has_negative").then((pl.col("is_above") | is_missing).cast(pl.Float64)))
    )


def _true(qrels: pl.DataFrame) -> pl.DataFrame:
    return qrels.drop_nulls("rank")


def _with_places(run: pl.DataFrame, qrels: pl.DataFrame) -> pl.DataFrame:
    """The qrels with each document's rank in the run as `place`."""
    places = run.select("query_id", "doc_id", place="rank")
    return qrels.join(places, on=["query_id", "doc_id"], how="left").with_columns(pl.col("place").fill_null(MISSING))


def nearest_documents(qrels: pl.DataFrame) -> pl.DataFrame:
    """The cluster of each query for `statistics.summary`: its document of rank 1, of several the smallest id.

    Queries with the same nearest document have similar lists, so they are not independent. Returns query_id, cluster.
    """
    best = qrels.filter(pl.col("rank") == 1)
    return best.group_by("query_id").agg(cluster=pl.col("doc_id").min()).sort("query_id")


def _overlap(k: int) -> Measure:
    share = f"share of the true first {k} documents that are among the first {k}, ties ordered as suits the system"
    text = "whether the first document is one of rank 1" if k == 1 else share
    return Measure(text, "R@k of arXiv 2601.05588", compute=partial(overlap, k=k), of_order=True)


MEASURES = {
    "nDCG@10": Measure(
        "gain of the first 10 documents, discounted by log2(place + 1), over the best possible one",
        "Järvelin and Kekäläinen 2002",
        compute=nDCG @ 10,
        of_order=True,
    ),
    EXPONENTIAL: Measure(
        "nDCG@10 with the gains 2^gain - 1", "Burges et al. 2005", compute=exponential_ndcg, of_order=True
    ),
    "AP": Measure("mean precision at the places of the true documents", "trec_eval", compute=AP, of_order=True),
    "R@10": Measure("share of the true documents among the first 10", "trec_eval", compute=R @ 10, of_order=False),
    "RR": Measure("1 / place of the first true document", "trec_eval", compute=RR, of_order=False),
    "hit@1": Measure("whether the first document is a true one", "trec_eval", compute=Success @ 1, of_order=False),
    "judged@10": Measure(
        "share of the first 10 places that hold a judged document; where it is low, nDCG says little",
        compute=judged,
        of_order=False,
    ),
    **{f"overlap@{k}": _overlap(k) for k in (1, 3, 5, 10)},
    "tau_b": Measure(
        "rank correlation with the true order, over the true documents", "Kendall 1945", compute=kendall, of_order=True
    ),
    "pairs": Measure(
        "share of pairs of judged documents of different rank that are in the true order", compute=pairs, of_order=True
    ),
    "CVR": Measure(
        "share of queries with a judged negative above a true document",
        "arXiv 2601.05588",
        "lower",
        compute=violations,
        of_order=True,
    ),
}
