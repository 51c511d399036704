"""Measures of a run against the qrels, per query, and their means with bootstrap intervals.

`MEASURES` names them all:
- nDCG@10: DCG of the first 10 over the best possible one, linear gains (the gain column), discount
  1/log2(rank + 1); unjudged documents gain 0. Jarvelin and Kekalainen 2002.
- R@10: share of the query's documents (those with a rank) among the first 10.
- RR: 1 / rank of the first such document, 0 without one.
- overlap@k: see `overlap`. tau_b: see `kendall`. These two ask for the order, the two above for the set.
Every query of the qrels counts: one that the run does not have scores 0.
"""

import ir_measures
import numpy as np
import polars as pl
from ir_measures import RR, R, nDCG
from scipy.stats import kendalltau

from arrange.errors import UserError

OVERLAP_DEPTHS = (1, 3, 5)
MEASURES = ("nDCG@10", "R@10", "RR", *(f"overlap@{k}" for k in OVERLAP_DEPTHS), "tau_b")


def evaluate(run: pl.DataFrame, qrels: pl.DataFrame) -> pl.DataFrame:
    """All measures for each query of the qrels.

    `run` is a table of `arrange.ranking.runs`; `qrels` has query_id, doc_id, rank (1 is best, equal ranks
    are ties, null a judged negative) and gain. Returns query_id (sorted) and one Float64 column per measure.
    Raises UserError when run and qrels have no query in common.
    """
    if run.join(qrels, on="query_id", how="semi").is_empty():
        raise UserError("the run and the qrels have no query in common", "take both from one data set and split")
    table = qrels.select("query_id").unique().sort("query_id")
    columns = [_from_ir_measures(run, qrels), *(overlap(run, qrels, k) for k in OVERLAP_DEPTHS)]
    for column in [*columns, kendall(run, qrels)]:
        table = table.join(column, on="query_id", how="left")
    return table.select("query_id", *MEASURES)


def _from_ir_measures(run: pl.DataFrame, qrels: pl.DataFrame) -> pl.DataFrame:
    """nDCG@10, R@10 and RR, by ir_measures (trec_eval underneath)."""
    # trec_eval breaks ties of scores by document id and ignores ranks, so the rank becomes the score.
    scores = _nested(run.select("query_id", "doc_id", -pl.col("rank").cast(pl.Float64)))
    gains = _nested(qrels.select("query_id", "doc_id", "gain"))
    relevant = _nested(qrels.select("query_id", "doc_id", pl.col("rank").is_not_null().cast(pl.Int32)))
    values = [
        *ir_measures.iter_calc([nDCG @ 10], gains, scores),
        *ir_measures.iter_calc([R @ 10, RR], relevant, scores),
    ]
    return pl.DataFrame(
        [(value.query_id, str(value.measure), value.value) for value in values],
        schema={"query_id": pl.String, "measure": pl.String, "value": pl.Float64},
        orient="row",
    ).pivot("measure", index="query_id", values="value")


def _nested(table: pl.DataFrame) -> dict[str, dict[str, float]]:
    nested: dict[str, dict[str, float]] = {}
    for query_id, doc_id, value in table.iter_rows():
        nested.setdefault(query_id, {})[doc_id] = value
    return nested


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
    pairs = (
        qrels.filter(pl.col("rank").is_not_null())
        .join(run.select("query_id", "doc_id", place="rank"), on=["query_id", "doc_id"], how="left")
        .with_columns(pl.col("place").fill_null(pl.Int32.max()))
        .group_by("query_id")
        .agg("rank", "place")
    )
    taus = [
        _tau_b(rank.to_numpy(), place.to_numpy()) for rank, place in zip(pairs["rank"], pairs["place"], strict=True)
    ]
    return pairs.select("query_id", tau_b=pl.Series(taus, dtype=pl.Float64))


def _tau_b(ranks_D: np.ndarray, places_D: np.ndarray) -> float | None:
    if np.ptp(ranks_D) == 0:
        return None
    return 0.0 if np.ptp(places_D) == 0 else float(kendalltau(ranks_D, places_D).statistic)


def nearest_documents(qrels: pl.DataFrame) -> pl.DataFrame:
    """The cluster of each query for `summary`: its document of rank 1, of several the smallest id.

    Queries below one hypernym share their lists, so they are not independent. Returns query_id, cluster.
    """
    best = qrels.filter(pl.col("rank") == 1)
    return best.group_by("query_id").agg(cluster=pl.col("doc_id").min()).sort("query_id")


def summary(per_query: pl.DataFrame, clusters: pl.DataFrame, *, draws: int = 1000, seed: int = 0) -> pl.DataFrame:
    """The mean of each measure with a 95% interval from a bootstrap over clusters of queries.

    Whole clusters are drawn with replacement (Field and Welsh 2007), since queries within one are
    alike; the interval runs between the 2.5% and 97.5% quantiles of the means. Nulls don't count.
    `clusters` has query_id and cluster. Returns measure, mean, low, high, queries (that have a value).
    """
    table = per_query.join(clusters, on="query_id", how="left")
    values_QM = table.select(MEASURES).to_numpy()
    counts_QM = np.isfinite(values_QM)
    group_Q = table["cluster"].rank("dense").to_numpy() - 1
    sums_CM, sizes_CM = (
        np.stack([np.bincount(group_Q, column) for column in matrix.T], axis=1)
        for matrix in (np.nan_to_num(values_QM), counts_QM)
    )
    rng = np.random.default_rng(seed)
    with np.errstate(invalid="ignore"):  # 0 / 0: no query of the draw has the measure
        means_BM = np.stack([_drawn_mean(rng, sums_CM, sizes_CM) for _ in range(draws)])
        mean_M = sums_CM.sum(axis=0) / sizes_CM.sum(axis=0)
    low_M, high_M = np.nanquantile(means_BM, [0.025, 0.975], axis=0)
    return pl.DataFrame(
        {"measure": MEASURES, "mean": mean_M, "low": low_M, "high": high_M, "queries": counts_QM.sum(axis=0)}
    ).fill_nan(None)


def _drawn_mean(rng: np.random.Generator, sums_CM: np.ndarray, sizes_CM: np.ndarray) -> np.ndarray:
    times_C = np.bincount(rng.integers(len(sums_CM), size=len(sums_CM)), minlength=len(sums_CM))
    return (times_C @ sums_CM) / (times_C @ sizes_CM)
