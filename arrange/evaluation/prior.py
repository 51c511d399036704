"""How much of a system's ranking needs no query: its documents put in one order for all queries.

A ranker whose own order is worse than this one has learnt the set of documents, not their order.
"""

import polars as pl

from arrange.evaluation import measures
from arrange.evaluation.measures import Definition
from arrange.evaluation.runs import SCHEMA

DEFINITIONS = {
    "prior": Definition(
        "nDCG@10 of the system's first 10 documents in one order for all queries, rarer in training first; where it is "
        "above nDCG@10, the system knows the set better than the order",
        better="-",
    ),
    "prior_tau_b": Definition(
        "tau_b of that order over all documents; of `random`, which has the true set, it says how much of the true "
        "order needs no query",
        better="-",
    ),
}


def per_query(run: pl.DataFrame, qrels: pl.DataFrame, train_qrels: pl.DataFrame) -> pl.DataFrame:
    """The values of one run: query_id, prior (the first ten documents reordered), prior_tau_b (all of them)."""
    first = measures.by_ir_measures(static_prior(run, train_qrels), qrels, ["nDCG@10"]).rename({"nDCG@10": "prior"})
    taus = measures.kendall(static_prior(run, train_qrels, depth=len(run)), qrels).rename({"value": "prior_tau_b"})
    return first.join(taus, on="query_id", how="left")


def static_prior(run: pl.DataFrame, train_qrels: pl.DataFrame, depth: int = 10) -> pl.DataFrame:
    """The run with the first `depth` documents of each query in one order for all queries: rarer in training first.

    Equally frequent documents keep the order of the run, and so do all documents after `depth`. The scores are
    -1, -2, -3 ..
    """
    frequencies = train_qrels.drop_nulls("rank")["doc_id"].value_counts(name="frequency")
    frequency = pl.when(pl.col("rank") <= depth).then(pl.col("frequency").fill_null(0)).otherwise(None)
    return (
        run.join(frequencies, on="doc_id", how="left")
        .sort("query_id", frequency, "rank", nulls_last=True)
        .with_columns(rank=pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over("query_id"))
        .with_columns(score=-pl.col("rank"))
        .select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())
    )
