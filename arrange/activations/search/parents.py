"""Which programs a mutator sees: drawn from an island's elites, by one of four rules."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

Rule = Literal["uniform", "weighted", "rank", "best"]


def log_weights(rule: Rule, fitness: Sequence[float], children: Sequence[int]) -> np.ndarray:
    """The logarithm of how likely each program is drawn first, up to a constant.

    uniform: all alike. weighted (ShinkaEvolve, arXiv 2509.19349): sigmoid(10 (F - median) / MAD) / (1 + children),
    MAD being the median absolute deviation. rank: 1 / rank. best: the fittest always. Equals rank by place.
    """
    values = np.asarray(fitness, dtype=np.float64)
    rank = np.empty(len(values))
    rank[np.argsort(-values, kind="stable")] = np.arange(1, len(values) + 1)
    match rule:
        case "uniform":
            return np.zeros(len(values))
        case "weighted":
            distance = values - np.median(values)
            deviation = max(float(np.median(np.abs(distance))), 1e-12)  # 0 where most are equal
            return -np.logaddexp(0, -10 * distance / deviation) - np.log1p(children)
        case "rank":
            return -np.log(rank)
        case "best":
            return -1e6 * rank  # beyond any draw


def draw(logs: np.ndarray, count: int, rng: np.random.Generator) -> list[int]:
    """At most `count` places, drawn one by one without replacement, each by its weight among those left.

    `logs` are the weights' logarithms. Gumbel's trick: the order of log weight + Gumbel noise is such a draw.
    """
    keys = logs + rng.gumbel(size=len(logs))
    return [int(place) for place in np.argsort(-keys, kind="stable")[:count]]
