"""Judged negatives: documents that a query must not rank above its own."""

from collections.abc import Iterable, Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from arrange.data.tables import SCHEMAS, Dataset
from arrange.errors import UserError


def add(dataset: Dataset, count: int, seed: int, forbidden: pl.DataFrame) -> Dataset:
    """The data set with `count` more judged negatives (rank null, gain 0) for every query.

    They are drawn without replacement. The probability of a document is proportional to the number of training queries
    that have it: drawn uniformly, most negatives would be in no training list, and popularity alone would tell them
    from the true documents. Never drawn are the query's judged documents, the query itself, and homonyms: documents
    with the same text (in any case) as one of its true documents, or as one of `forbidden`, a table of query_id and
    text. Raises UserError where a query has fewer than `count` documents left.
    """
    candidates = _training_counts(dataset)
    barred = _barred(dataset, forbidden, candidates).group_by("query_id").agg("row")
    lists = (
        dataset.queries.select("query_id")
        .sort("query_id")
        .join(barred, on="query_id", how="left", maintain_order="left")
        .with_columns(pl.col("row").fill_null([]))
    )
    possible = candidates.height - pl.col("row").list.len().cast(pl.Int64)
    for query_id, left in lists.filter(possible < count).select("query_id", possible).rows():
        raise UserError(
            f"query {query_id!r}: {left} documents can be its negatives, not {count}",
            "ask for fewer negatives or take a larger data set",
        )
    drawn = list(_draw(candidates["count"].to_numpy(), lists["row"], count, seed))
    new = pl.DataFrame(
        {
            "query_id": lists["query_id"].gather(np.repeat(np.arange(lists.height), count)),
            "doc_id": candidates["doc_id"].gather(drawn),
            "rank": None,
            "gain": 0,
        },
        SCHEMAS["qrels"],
    )
    qrels = pl.concat([dataset.qrels, new]).sort("query_id", "rank", "doc_id", nulls_last=True)
    return dataset._replace(qrels=qrels)


def _training_counts(dataset: Dataset) -> pl.DataFrame:
    """row, doc_id, name (the text in lower case) and count of the documents that are in a training list."""
    train = dataset.queries.filter(split="train").select("query_id")
    counts = dataset.qrels.drop_nulls("rank").join(train, on="query_id")["doc_id"].value_counts()
    documents = dataset.documents.select("doc_id", name=pl.col("text").str.to_lowercase())
    return documents.join(counts, on="doc_id").sort("doc_id").with_row_index("row")


def _barred(dataset: Dataset, forbidden: pl.DataFrame, candidates: pl.DataFrame) -> pl.DataFrame:
    """Pairs of query_id and row (of `candidates`) that are never drawn."""
    own = dataset.queries.select("query_id", doc_id="query_id")
    judged = pl.concat([dataset.qrels.select("query_id", "doc_id"), own]).join(candidates, on="doc_id")
    true = dataset.qrels.drop_nulls("rank").join(dataset.documents, on="doc_id").select("query_id", "text")
    texts = pl.concat([true, forbidden.select("query_id", "text")])
    names = texts.select("query_id", name=pl.col("text").str.to_lowercase()).unique()
    homonyms = names.join(candidates, on="name")
    return pl.concat([judged.select("query_id", "row"), homonyms.select("query_id", "row")]).unique()


def _draw(weight_D: NDArray, barred_Q: Iterable[Iterable[int]], count: int, seed: int) -> Iterator[int]:
    """For each query `count` rows, drawn one after the other without replacement by the (integer) weights."""
    rng = np.random.default_rng(seed)
    end_D = np.cumsum(weight_D)
    for barred in barred_Q:
        refused = set(barred)
        for _ in range(count):
            while (row := int(np.searchsorted(end_D, rng.integers(end_D[-1]), side="right"))) in refused:
                pass  # draw again; it ends: every document has a weight above 0, and enough are left
            refused.add(row)
            yield row
