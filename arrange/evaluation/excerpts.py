"""Excerpts: the rankings of several systems for a few queries, beside the true lists, for people to look at.

An excerpt is a table with a row for each document of a list, in the order of the list:

    system str, query_id str, query str, place i32, document str, score f64, rank i32, gain i32

`place` is the document's place in the list. `query` and `document` are texts. `rank` and `gain` are those of the qrels:
rank is null for a judged negative, both are null for a document without a judgement. Where `system` is null, the list
is the true one.
"""

import polars as pl

from arrange.data.tables import Dataset
from arrange.evaluation.runs import from_scores

DEPTH = 10  # documents of a system's list


def choose(quality: pl.DataFrame, groups: pl.DataFrame, count: int) -> list[str]:
    """The ids of `count` queries (or of all, where there are fewer) from all groups and of all qualities.

    `quality` has query_id and quality, a measure of the query's ranking. `groups` is the table of `tables.read_groups`.
    The sample is systematic. Queries are listed by group and, within a group, by falling quality. The list is cut into
    `count` equal parts, and the middle of each is taken, so that every group has its share.
    """
    kinds = groups.sort("query_id", "grouping").group_by("query_id", maintain_order=True).agg("group")
    listed = (
        quality.join(kinds.with_columns(pl.col("group").list.join(", ")), on="query_id", how="left")
        .sort("group", "quality", "query_id", descending=[False, True, False])
        .get_column("query_id")
    )
    count = min(count, len(listed))
    return [listed[(2 * part + 1) * len(listed) // (2 * count)] for part in range(count)]


def excerpt(system: str | None, run: pl.DataFrame, dataset: Dataset, query_ids: list[str]) -> pl.DataFrame:
    """The excerpt of one run, with the queries in the order of `query_ids`."""
    queries = pl.DataFrame({"query_id": query_ids}, schema={"query_id": pl.String})
    return (
        queries.join(dataset.queries.rename({"text": "query"}), on="query_id", maintain_order="left")
        .join(run.rename({"rank": "place"}), on="query_id", maintain_order="left_right")
        .join(dataset.documents.rename({"text": "document"}), on="doc_id", maintain_order="left")
        .join(dataset.qrels, on=["query_id", "doc_id"], how="left", maintain_order="left")
        .select(
            pl.lit(system, pl.String).alias("system"),
            *("query_id", "query", "place", "document", "score", "rank", "gain"),
        )
    )


def truth(qrels: pl.DataFrame) -> pl.DataFrame:
    """The true lists as a run, best first; judged negatives are not in it, and a score is minus the rank."""
    ranked = qrels.drop_nulls("rank")
    return from_scores(ranked.select("query_id", "doc_id", score=-pl.col("rank")), depth=len(ranked))
