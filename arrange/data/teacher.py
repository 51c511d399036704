"""Another truth over the same queries and documents: ranks by a teacher's embedding similarity (arXiv 2601.05588).

With it the order depends on the query, not on how frequent a document is. The list of a query is a sample of the
teacher's ranking of all documents, spread from its first to its last place, as in the paper's ESCI task.
Q queries, D documents, E numbers of a vector.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from arrange.bounds import Count
from arrange.data.rows import LeftOut, leave_out
from arrange.data.tables import SCHEMAS, Dataset
from arrange.errors import UserError
from arrange.models.vectors import VectoriserSettings

GAIN = 10**6  # of rank 1, as for WordNet
CHUNK = 64  # queries that are compared with all documents at a time


@dataclass(frozen=True)
class Teacher:
    """Settings: the vectors that the teacher compares, and which places of its ranking make a list (`places`)."""

    vectoriser: VectoriserSettings
    length: Count
    deepest: Count


def texts(dataset: Dataset) -> list[str]:
    """What a teacher may be fitted to: all documents and the training queries, never a test query."""
    train = dataset.queries.filter(pl.col("split") == "train")
    return [*dataset.documents["text"], *train["text"]]


def places(documents: int, length: int, deepest: int) -> list[int]:
    """The teacher's places that make up a list: the first, then `length` - 1 at equal distances.

    The last is `deepest`, or the number of documents if that is less. 101 and 10,000 give the paper's 1, 100, 200, ..
    10,000. Fewer documents than `length` give each place.

    >>> places(1_000_000, length=101, deepest=10_000)[:4], places(20, length=5, deepest=10_000)
    ([1, 100, 200, 300], [1, 5, 10, 15, 20])
    """
    last = min(documents, deepest)
    steps = min(length, last) - 1
    return [max(step + 1, step * last // steps) for step in range(steps + 1)] if steps else [1]


def relabel(
    dataset: Dataset, vectorise: Callable[[Sequence[str]], NDArray[np.float32]], length: int, deepest: int
) -> tuple[Dataset, list[LeftOut]]:
    """The data set with the teacher's ranks for qrels, and what was left out.

    vectorise: from texts to their vectors, one row each.

    All documents are ordered by falling inner product with the query's vector (equal products: by doc_id). Those at
    `places` are the query's. Their ranks are 1, 2, .. in that order, the gain is round(10^6 / rank).
    Queries without a word that the teacher knows (a vector of zeros) are left out and counted. Documents of all locales
    are ranked: if the teacher knows one language, prepare one locale.
    Raises UserError for fewer than two documents.
    """
    documents = dataset.documents.sort("doc_id")
    if documents.height < 2:
        raise UserError(f"a teacher needs documents to rank, and there are {documents.height}", "give it more")
    vectors_QE = vectorise(dataset.queries["text"].to_list())
    left_out: list[LeftOut] = []
    has_words = pl.Series(np.any(vectors_QE != 0, axis=1))
    queries = dataset.queries.with_columns(_row=pl.int_range(pl.len()), _has_words=has_words)
    why = "queries without a word that the teacher knows"
    queries = leave_out(queries, why, ~pl.col("_has_words"), ["query_id"], left_out)
    wanted_P = np.array(places(documents.height, length, deepest)) - 1
    vectors_DE = vectorise(documents["text"].to_list())
    order_QP = np.concatenate(list(_orders(vectors_QE[queries["_row"].to_numpy()], vectors_DE, wanted_P)))
    rank_P = np.arange(1, len(wanted_P) + 1)
    qrels = pl.DataFrame(
        {
            "query_id": queries["query_id"].gather(np.repeat(np.arange(queries.height), len(wanted_P))),
            "doc_id": documents["doc_id"].gather(order_QP.ravel()),
            "rank": np.tile(rank_P, queries.height),
            "gain": np.tile(np.round(GAIN / rank_P), queries.height),
        }
    ).cast(SCHEMAS["qrels"])
    return Dataset(queries.select(SCHEMAS["queries"].names()), documents, qrels), left_out


def _orders(vectors_QE: NDArray, vectors_DE: NDArray, wanted_P: NDArray) -> Iterator[NDArray]:
    """The documents at the wanted places (from 0, rising) of each query's order, some queries at a time."""
    deepest = len(vectors_DE) - 1 - wanted_P[-1]  # its place in rising order
    with threadpool_limits(1):  # sums in one order
        for start in range(0, len(vectors_QE), CHUNK):
            product_QD = vectors_QE[start : start + CHUNK] @ vectors_DE.T
            bound_Q = np.partition(product_QD, deepest, axis=1)[:, deepest]
            rows = []
            for product_D, bound in zip(product_QD, bound_Q, strict=True):
                near = np.flatnonzero(product_D >= bound)  # all that are needed, ties included
                rows.append(near[np.argsort(-product_D[near], kind="stable")][wanted_P])
            yield np.stack(rows)
