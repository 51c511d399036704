"""Which mutator comes next: one that brought improvements of late, or one that was tried too seldom to say."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

EXPLORATION = 1.0
EPSILON = 0.2
DECAY = 0.95  # of all that is known, with each result


def reward(score: float | None, parent: float | None, baseline: float = 0.0) -> float:
    """exp(improvement) - 1 over the better of parent and baseline; 0 for none, and for no score.

    The baseline of a fitness is 0, that of its reference.
    """
    if score is None:
        return 0.0
    bar = baseline if parent is None else max(baseline, parent)
    return float(np.expm1(max(score - bar, 0.0)))


def chances(names: Sequence[str], results: Sequence[tuple[str, float]], pending: Counter[str]) -> np.ndarray:
    """How likely each mutator is asked: the asymmetric UCB of ShinkaEvolve (arXiv 2509.19349).

    `results`: mutators and their rewards, oldest first; `pending`: asked, without a result so far.
    The untried come first. Then the highest mean reward (in units of the highest reward seen) + sqrt(2 log N / n) is
    asked with chance 0.8, the others with 0.2 between them; n and the mean fade by 0.95 with each result.
    """
    fading = DECAY ** np.arange(len(results) - 1, -1, -1)
    own = np.array([[name == asked for asked, _ in results] for name in names], dtype=float).reshape(len(names), -1)
    told = own @ fading
    asked = told + [pending[name] for name in names]
    if (asked == 0).any():
        return (asked == 0) / (asked == 0).sum()
    gained = own @ (fading * [value for _, value in results])
    highest = max((value for _, value in results), default=0.0) or 1.0
    means = np.divide(gained, told, out=np.zeros(len(names)), where=told > 0) / highest
    scores = means + EXPLORATION * np.sqrt(2 * np.log(max(asked.sum(), 2.0)) / asked)
    first = scores == scores.max()
    if first.all():
        return first / first.sum()
    return np.where(first, (1 - EPSILON) / first.sum(), EPSILON / (~first).sum())
