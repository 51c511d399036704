"""From what was made to the table of `arrange.data.augmented`: what leads back to its document, with a weight."""

import polars as pl

from arrange.baselines import bm25
from arrange.data.augmented import SCHEMA


def found(made: pl.DataFrame, documents: pl.DataFrame, first: int) -> pl.DataFrame:
    """The texts for which BM25 finds their own document among its first `first` (round-trip filter).

    made: text, doc_id, origin. Documents with equal scores are in the order of their ids. Texts of the origin
    `document` are kept in any case. 0 keeps all.
    """
    if not first:
        return made
    numbered = made.with_row_index("number").with_columns(query_id=pl.col("number").cast(pl.String))
    asked = numbered.filter(pl.col("origin") != "document")
    run = bm25.search(asked.select("query_id", "text"), documents, depth=first)
    own = run.join(asked.select("query_id", "doc_id"), on=["query_id", "doc_id"], how="semi")
    kept = (pl.col("origin") == "document") | pl.col("query_id").is_in(own["query_id"].implode())
    return numbered.filter(kept).select(made.columns)


def weighted(made: pl.DataFrame, seen_ids: pl.Series, seen: float) -> pl.DataFrame:
    """The examples with weights that sum, over a document's, to 1, or to `seen` if it is one of `seen_ids`.

    Within a document every origin has the same part, and every example of it. Those that weigh nothing are left out.
    """
    of_document = pl.when(pl.col("doc_id").is_in(seen_ids.unique().implode())).then(seen).otherwise(1.0)
    origins, alike = pl.col("origin").n_unique().over("doc_id"), pl.len().over("doc_id", "origin")
    return made.with_columns(weight=of_document / origins / alike).filter(pl.col("weight") > 0).cast(SCHEMA)
