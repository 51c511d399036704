"""Excerpts: what several systems give for a few queries, beside the true lists, to be looked at.

An excerpt is a table with a row for each document of a list, in the lists' order:

    system str, query_id str, query str, place i32, document str, score f64, rank i32, gain i32

`place` is the document's place in the list, `query` and `document` are texts; `rank` and `gain` are what the qrels
say: rank is null for a judged negative, both are null for a document without a judgement. Where `system` is null,
the list is the true one.
"""

import polars as pl

from arrange.data.tables import Dataset
from arrange.evaluation.runs import from_scores


def choose(quality: pl.DataFrame, groups: pl.DataFrame, count: int) -> list[str]:
    """Ids of `count` queries from all groups and of all qualities; all of them, where there are no more.

    `quality` has query_id and quality (of a ranking, say), `groups` is the table of `tables.read_groups`. The queries
    in the order of their groups, those of one group by falling quality, are cut into `count` equal parts, of which
    each gives its middle: a systematic sample, so that a group has its share of them.
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
    wanted = pl.DataFrame({"query_id": query_ids}, schema={"query_id": pl.String})
    return (
        wanted.join(dataset.queries.rename({"text": "query"}), on="query_id", maintain_order="left")
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
