"""The documents that a search finds for a query, and how two searches compare."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from arrange.errors import UserError


@dataclass(frozen=True, eq=False)
class TopDocuments:
    """The K documents that a search found for one query, best first.

    documents_K: document indices. sums_K, means_K: summed and mean log-probability (nats) of the docID's tokens,
    the end token included. The order is that of the sums.
    outside: the probability, under the normaliser, that the model leaves the (sub-)catalogue directly behind a prefix
    that the search looked at. It is a lower bound for the mass outside the catalogue, and equal to it where the search
    looked at every prefix. The sums' probabilities and `outside` add up to at most 1.
    """

    documents_K: NDArray[np.int64]
    sums_K: NDArray[np.float64]
    means_K: NDArray[np.float64]
    outside: float

    def pairs(self) -> list[tuple[int, float]]:
        """(document, sum) pairs, as `arrange.evaluation.runs.make_run` wants them."""
        return list(zip(self.documents_K.tolist(), self.sums_K.tolist(), strict=True))


def top_documents(document_K: Tensor, sum_K: Tensor, length_K: Tensor, outside: float) -> TopDocuments:
    """The result of a search, from tensors of any device; the documents are in order."""
    sums_K = sum_K.cpu().double().numpy()
    return TopDocuments(document_K.cpu().numpy(), sums_K, sums_K / length_K.cpu().numpy(), max(0.0, outside))


def beam_recall(searched: Sequence[TopDocuments], exact: Sequence[TopDocuments]) -> NDArray[np.float64]:
    """The share of each query's exact top documents that a search found. Shape Q.

    Raises UserError where the two have different numbers of queries, or a query has no exact documents.
    """
    if len(searched) != len(exact) or not all(len(true.documents_K) for true in exact):
        what = f"{len(searched)} rankings against {len(exact)} exact ones"
        raise UserError(f"beam recall: {what}, or an empty one", "give both for the same queries")
    pairs = zip(searched, exact, strict=True)
    return np.array([np.isin(true.documents_K, top.documents_K).mean() for top, true in pairs])
