"""Measures of a run against the qrels, per query; `arrange.evaluation.statistics` has their means and tests.

A query's documents are those with a rank, judged negatives those without. `MEASURES` names them all:
- nDCG@10: DCG of the first 10 over the best possible one, linear gains (the gain column), discount
  1/log2(rank + 1); unjudged documents gain 0. Jarvelin and Kekalainen 2002.
- nDCG(dcg='exp-log2')@10, ir_measures' name: the same with the gains 2^gain - 1, see `exponential_ndcg`.
- AP, R@10, RR, hit@1: average precision; share of the query's documents among the first 10; 1 / rank of the
  first such document, 0 without one; 1 where the first document is one (ir_measures' Success@1).
- judged@10: share of judged documents among the first 10. nDCG with many unjudged documents says little.
- overlap@k: see `overlap`. tau_b: see `kendall`. pairs: see `pairs`. These ask for the order, AP to hit@1 for
  the set.
- CVR: see `violations`. The only one that is better when it is lower.
Every query of the qrels counts: one that the run does not have scores 0, and 1 in CVR.
"""

import ir_measures
import numpy as np
import polars as pl
from ir_measures import AP, RR, Judged, R, Success, nDCG
from scipy.stats import kendalltau

from arrange.errors import UserError

EXPONENTIAL = "nDCG(dcg='exp-log2')@10"
OVERLAP_DEPTHS = (1, 3, 5, 10)
NAMES = {nDCG @ 10: "nDCG@10", AP: "AP", R @ 10: "R@10", RR: "RR", Success @ 1: "hit@1", Judged @ 10: "judged@10"}
ORDER = (*(f"overlap@{k}" for k in OVERLAP_DEPTHS), "tau_b", "pairs", "CVR")
MEASURES = ("nDCG@10", EXPONENTIAL, "AP", "R@10", "RR", "hit@1", "judged@10", *ORDER)
LARGEST_GAIN = 1000  # 2**1024 is beyond float64
MISSING = pl.Int32.max()  # the place of a document that the run lacks: below all others


def evaluate(run: pl.DataFrame, qrels: pl.DataFrame) -> pl.DataFrame:
    """All measures for each query of the qrels.

    `run` is a table of `arrange.evaluation.runs`; `qrels` has query_id, doc_id, rank (1 is best, equal ranks
    are ties, null a judged negative) and gain. Returns query_id (sorted) and one Float64 column per measure,
    null where it does not apply. Raises UserError when run and qrels have no query in common.
    """
    if run.join(qrels, on="query_id", how="semi").is_empty():
        raise UserError("the run and the qrels have no query in common", "take both from one data set and split")
    table = qrels.select("query_id").unique().sort("query_id")
    for column in (
        _from_ir_measures(run, qrels),
        exponential_ndcg(run, qrels),
        *(overlap(run, qrels, k) for k in OVERLAP_DEPTHS),
        kendall(run, qrels),
        pairs(run, qrels),
        violations(run, qrels),
    ):
        table = table.join(column, on="query_id", how="left")
    return table.select("query_id", *MEASURES)


def _from_ir_measures(run: pl.DataFrame, qrels: pl.DataFrame) -> pl.DataFrame:
    """The measures of NAMES, by ir_measures (trec_eval underneath)."""
    # trec_eval breaks ties of scores by document id and ignores ranks, so the rank becomes the score.
    scores = _nested(run.select("query_id", "doc_id", -pl.col("rank").cast(pl.Float64)))
    gains = _nested(qrels.select("query_id", "doc_id", "gain"))
    relevant = _nested(qrels.select("query_id", "doc_id", pl.col("rank").is_not_null().cast(pl.Int32)))
    values = [
        *ir_measures.iter_calc([nDCG @ 10], gains, scores),
        *ir_measures.iter_calc(list(NAMES)[1:], relevant, scores),
    ]
    return pl.DataFrame(
        [(value.query_id, NAMES[value.measure], value.value) for value in values],
        schema={"query_id": pl.String, "measure": pl.String, "value": pl.Float64},
        orient="row",
    ).pivot("measure", index="query_id", values="value")


def _nested(table: pl.DataFrame) -> dict[str, dict[str, float]]:
    nested: dict[str, dict[str, float]] = {}
    for query_id, doc_id, value in table.iter_rows():
        nested.setdefault(query_id, {})[doc_id] = value
    return nested


def exponential_ndcg(run: pl.DataFrame, qrels: pl.DataFrame) -> pl.DataFrame:
    """nDCG(dcg='exp-log2')@10: gains 2^gain - 1, discount 1/log2(rank + 1). Burges et al. 2005.

    Null where a gain is above 1000: the gains 10^6 / rank have no exponential. It is computed here, since
    ir_measures would start a Perl script for it. Returns query_id and that column.
    """
    gain = 2.0 ** pl.col("gain").cast(pl.Float64) - 1
    reached = (
        _places(run, qrels)
        .filter(pl.col("place") <= 10)
        .sort("query_id", "place")  # one order of summation
        .group_by("query_id", maintain_order=True)
        .agg(reached=(gain / (pl.col("place") + 1).log(2)).sum())
    )
    best = (gain / pl.int_range(2, pl.len() + 2).log(2)).head(10).sum()
    return (
        qrels.sort("gain", descending=True)
        .group_by("query_id", maintain_order=True)
        .agg(best=best, too_large=pl.col("gain").max() > LARGEST_GAIN)
        .join(reached, on="query_id", how="left")
        .with_columns(share=(pl.col("reached").fill_null(0) / pl.col("best")).fill_nan(0))
        .select("query_id", pl.when(~pl.col("too_large")).then("share").alias(EXPONENTIAL))
    )


def overlap(run: pl.DataFrame, qrels: pl.DataFrame, k: int) -> pl.DataFrame:
    """overlap@k = |true top k, run's top k| / min(k, n), n the documents of the query that have a rank.

    The R@k of arXiv 2601.05588, which has no ties. Where documents tie across the cut, every order of
    them is true, and the one that suits the run best counts: a perfect run scores 1, and of the tied
    documents no more count than fit above the cut. overlap@1 is so the share of queries whose first
    document has rank 1. Returns query_id and the column overlap@k.
    """
    true = qrels.filter(pl.col("rank").is_not_null()).select(
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
        .agg(found=pl.col("rank").count())
        .with_columns(found=pl.min_horizontal("found", pl.col("cut") - pl.col("better")))
    )
    return hits.group_by("query_id").agg((pl.col("found").sum() / pl.col("cut").first()).alias(f"overlap@{k}"))


def kendall(run: pl.DataFrame, qrels: pl.DataFrame) -> pl.DataFrame:
    """tau_b: Kendall's tau-b between true ranks and the run's order of the query's true documents.

    Those that the run lacks come last, tied. 0 where the run orders none of them; null where all true
    ranks are equal, for there is no order to find. Kendall 1945. Returns query_id and tau_b.
    """
    lists = _places(run, qrels.drop_nulls("rank")).group_by("query_id").agg("rank", "place")
    taus = [
        _tau_b(rank.to_numpy(), place.to_numpy()) for rank, place in zip(lists["rank"], lists["place"], strict=True)
    ]
    return lists.select("query_id", tau_b=pl.Series(taus, dtype=pl.Float64))


def _tau_b(ranks_D: np.ndarray, places_D: np.ndarray) -> float | None:
    if np.ptp(ranks_D) == 0:
        return None
    return 0.0 if np.ptp(places_D) == 0 else float(kendalltau(ranks_D, places_D).statistic)


def pairs(run: pl.DataFrame, qrels: pl.DataFrame) -> pl.DataFrame:
    """pairs: the share of pairs of judged documents of different rank in which the better one outranks the other.

    Judged negatives are the last rank. Pairs of one rank don't count, so that the measure is defined for
    tiers (ESCI's labels) as for lists. A document that the run lacks stands below all that it has; of two
    such, neither outranks the other. Null where all ranks are equal. Returns query_id and pairs.
    """
    judged = _places(run, qrels).select("query_id", "place", tier=pl.col("rank").fill_null(MISSING))
    return (
        judged.join(judged, on="query_id", suffix="_other")
        .filter(pl.col("tier") < pl.col("tier_other"))
        .group_by("query_id")
        .agg(pairs=(pl.col("place") < pl.col("place_other")).mean())
    )


def violations(run: pl.DataFrame, qrels: pl.DataFrame) -> pl.DataFrame:
    """CVR, constraint violation rate: 1 where a judged negative outranks a document of the query, else 0.

    Its mean over queries is the rate in arXiv 2601.05588, by our reading of that paper. "Outranks" is as in
    `pairs`, so a negative that the run lacks violates nothing, but a query that the run lacks counts 1: the
    rate says something where all candidates are ranked. Null where the query has no negative. One negative
    in a random order with n documents gives n / (n + 1). Returns query_id and CVR.
    """
    is_negative, place = pl.col("rank").is_null(), pl.col("place")
    lacking = ~pl.col("query_id").is_in(run["query_id"].unique().implode())
    above = place.filter(is_negative).min() < place.filter(~is_negative).max()
    return (
        _places(run, qrels)
        .group_by("query_id")
        .agg(above=above, has_negative=is_negative.any())
        .select("query_id", CVR=pl.when("has_negative").then((pl.col("above") | lacking).cast(pl.Float64)))
    )


def _places(run: pl.DataFrame, qrels: pl.DataFrame) -> pl.DataFrame:
    """The qrels with each document's rank in the run as `place`."""
    places = run.select("query_id", "doc_id", place="rank")
    return qrels.join(places, on=["query_id", "doc_id"], how="left").with_columns(pl.col("place").fill_null(MISSING))


def nearest_documents(qrels: pl.DataFrame) -> pl.DataFrame:
    """The cluster of each query for `summary`: its document of rank 1, of several the smallest id.

    Queries below one hypernym share their lists, so they are not independent. Returns query_id, cluster.
    """
    best = qrels.filter(pl.col("rank") == 1)
    return best.group_by("query_id").agg(cluster=pl.col("doc_id").min()).sort("query_id")
