"""What training queries say of documents. Test and validation queries are never among them.

Q queries, D documents, P pairs of a query and a document that is ranked for it, E numbers of a vector.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from arrange.models.vectors import Floats

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Judged:
    """Training queries and their documents, by row.

    texts: of the queries. query_P, document_P: the pairs. vectors_QE: the queries' vectors, which `relevance` needs.
    """

    texts: list[str]
    query_P: Ints
    document_P: Ints
    vectors_QE: Floats | None = None


def of_tables(
    queries: pl.DataFrame, documents: pl.DataFrame, qrels: pl.DataFrame, vectors_QE: Floats | None = None
) -> Judged:
    """The training queries of a data set's tables with the documents that have a rank, not those judged negative."""
    train = queries.with_row_index("query").filter(pl.col("split") == "train")
    rows = documents.with_row_index("document").select("doc_id", "document")
    pairs = qrels.drop_nulls("rank").join(train, "query_id").join(rows, "doc_id").sort("query", "document")
    query_P, document_P = (pairs[name].to_numpy().astype(np.int64) for name in ("query", "document"))
    return Judged(queries["text"].to_list(), query_P, document_P, vectors_QE)


def near_queries(vectors_DE: Floats, vectors_QE: Floats, judged: Judged, share: float) -> Floats:
    """Vectors that are near for documents of the same queries: 1 - share of their own, share of their queries' mean.

    A document without a query keeps its own. Own and mean have length 1 before, the sum has it afterwards.

    >>> own_DE, of_queries_QE = np.eye(3, dtype=np.float32)[:2], np.eye(3, dtype=np.float32)[2:]
    >>> near_queries(own_DE, of_queries_QE, Judged(["q"], np.array([0]), np.array([1])), share=0.5).round(2)
    array([[1.  , 0.  , 0.  ],
           [0.  , 0.71, 0.71]], dtype=float32)
    """
    sums_DE = np.zeros(vectors_DE.shape)
    np.add.at(sums_DE, judged.document_P, vectors_QE[judged.query_P])
    mixed_DE = (1 - share) * vectors_DE + share * _of_length_1(sums_DE)
    asked_D = np.bincount(judged.document_P, minlength=len(vectors_DE)) > 0
    return np.where(asked_D[:, None], _of_length_1(mixed_DE), vectors_DE).astype(np.float32)


def _of_length_1(vectors_DE: NDArray[np.float64]) -> NDArray[np.float64]:
    length_D = np.linalg.norm(vectors_DE, axis=1, keepdims=True)
    return vectors_DE / np.where(length_D > 0, length_D, 1)
