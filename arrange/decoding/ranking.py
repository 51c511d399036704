"""What a search gives for a query, and how two searches compare."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from arrange.errors import UserError


@dataclass(frozen=True, eq=False)
class Ranking:
    """The K documents that were found for one query, best first.

    documents_K: document indices. sums_K, means_K: summed and mean log-probability (nats) of the docID's tokens,
    the end token included; the order is that of the sums.
    outside: the probability that the model, as the normaliser has it, leaves the (sub-)catalogue right behind a
    prefix that was looked at. A lower bound for the mass outside the catalogue, and equal to it where every prefix
    was looked at. The sums' probabilities and `outside` add up to at most 1; the rest was not looked into.
    """

    documents_K: NDArray[np.int64]
    sums_K: NDArray[np.float64]
    means_K: NDArray[np.float64]
    outside: float

    def pairs(self) -> list[tuple[int, float]]:
        """(document, sum) pairs, as `arrange.evaluation.runs.make_run` wants them."""
        return list(zip(self.documents_K.tolist(), self.sums_K.tolist(), strict=True))


def make_ranking(document_K: Tensor, sum_K: Tensor, length_K: Tensor, outside: float) -> Ranking:
    """The ranking of documents that are in order, from tensors of any device."""
    sums_K = sum_K.cpu().double().numpy()
    return Ranking(document_K.cpu().numpy(), sums_K, sums_K / length_K.cpu().numpy(), max(0.0, outside))


def beam_recall(found: Sequence[Ranking], exact: Sequence[Ranking]) -> NDArray[np.float64]:
    """The share of each query's exact top documents that a search found. Shape Q.

    Raises UserError where the two have different numbers of queries, or a query has no exact answer.
    """
    if len(found) != len(exact) or not all(len(ranking.documents_K) for ranking in exact):
        what = f"{len(found)} rankings against {len(exact)} exact ones"
        raise UserError(f"beam recall: {what}, or an empty one", "give both for the same queries")
    pairs = zip(found, exact, strict=True)
    return np.array([np.isin(true.documents_K, ranking.documents_K).mean() for ranking, true in pairs])
