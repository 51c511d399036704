"""Fusion: one ranking out of several, by the documents' ranks alone."""

from collections.abc import Sequence

import polars as pl

from arrange.evaluation.runs import from_scores


def reciprocal_rank(found: Sequence[pl.DataFrame], *, k: int = 60, depth: int = 100) -> pl.DataFrame:
    """The run of score(d) = sum over runs that have d of 1 / (k + rank of d), for runs of `arrange.evaluation.runs`.

    A query is ranked if any run has it. The larger k, the less it counts to be first in one run.
    Cormack, Clarke and Buettcher 2009, with their k.
    """
    scores = (
        pl.concat(found)
        .sort("query_id", "doc_id", "rank")  # so that equal ranks give equal sums, whichever run they are of
        .group_by("query_id", "doc_id", maintain_order=True)
        .agg(score=(1 / (k + pl.col("rank"))).sum())
    )
    return from_scores(scores, depth=depth)
