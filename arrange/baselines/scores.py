"""From a baseline's scores to a run, over the whole corpus or over each query's candidates."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from arrange.evaluation.runs import make_run

Rows = NDArray[np.int64]
Scores = NDArray[np.floating[Any]]


def rank(
    query_ids: Sequence[str],
    doc_ids: Sequence[str],
    score: Callable[[int, Rows], Scores],
    *,
    candidates: pl.DataFrame | None = None,
    depth: int = 100,
) -> pl.DataFrame:
    """The run of a scoring function: `score(query, rows_K)` gives K scores, for rows of `doc_ids`.

    `candidates` (query_id, doc_id; every doc_id among `doc_ids`) restricts each query to its own. A score of -inf
    leaves a document out. Equal scores are ordered by doc_id.
    """
    everything = np.arange(len(doc_ids))
    rows_of = None if candidates is None else candidate_rows(query_ids, doc_ids, candidates)
    ranked = []
    for query in range(len(query_ids)):
        rows_K = everything if rows_of is None else rows_of[query]
        score_K = score(query, rows_K)
        kept = best(score_K, depth)
        ranked.append(list(zip(rows_K[kept].tolist(), score_K[kept].tolist(), strict=True)))
    return make_run(query_ids, ranked, doc_ids, depth=depth)


def best(score_K: Scores, count: int) -> Rows:
    """The places of the `count` highest scores, and of all that equal the last of them. -inf is never among them.

    >>> best(np.array([2.0, 1.0, 3.0, 1.0, -np.inf]), 3)
    array([0, 1, 2, 3])
    """
    least = np.partition(score_K, -count)[-count] if count < len(score_K) else -np.inf
    return np.flatnonzero((score_K >= least) & (score_K > -np.inf))


def candidate_rows(query_ids: Sequence[str], doc_ids: Sequence[str], candidates: pl.DataFrame) -> list[Rows]:
    """The rows of each query's candidates in `doc_ids`, rising; none for a query without candidates."""
    documents = pl.DataFrame({"doc_id": doc_ids}).with_row_index("row")
    rows = candidates.join(documents, on="doc_id").sort("row").group_by("query_id").agg("row")
    lists = dict(zip(rows["query_id"], rows["row"], strict=True))
    return [lists.get(query, pl.Series(dtype=pl.Int64)).to_numpy().astype(np.int64) for query in query_ids]
