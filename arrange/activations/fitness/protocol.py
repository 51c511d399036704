"""The measured protocol: what is spent on a candidate, and what its predictions are worth.

What the noise is like (36 problems x 8 seeds): which activation is best depends more on the problem (standard deviation
0.69) than on the activation itself (0.41), and less on the seed (0.27). So more problems come before more seeds, and
who looked good on some problems is tested again on others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from arrange.activations.evaluation import Arrays, Measurement
from arrange.activations.problems.draw import HELD_OUT, SEARCHED
from arrange.activations.problems.problem import Problem, Ranges

CLIP = 2.0  # of a log-ratio: one problem in which an activation fails isn't all that counts


@dataclass(frozen=True)
class Training:
    """The networks: `depth` hidden layers of `width`, trained by Adam with warm-up and cosine."""

    width: int = 32
    depth: int = 2
    warmup: int = 20  # steps, at least one
    clip: float = 1.0  # of a network's gradient norm


@dataclass(frozen=True)
class Rung:
    """How much is spent on a candidate at once."""

    problems: int
    seeds: int
    steps: int
    rates: tuple[float, ...] = (3e-3,)
    families: tuple[str, ...] = SEARCHED

    @property
    def member_steps(self) -> int:
        """Networks trained x steps."""
        return self.problems * self.seeds * len(self.rates) * self.steps


THREE_RATES = (1e-3, 3e-3, 1e-2)
RUNGS = {
    "first": Rung(6, 1, 100),
    "search": Rung(12, 2, 250),
    "confirm": Rung(18, 2, 250),
    "validate": Rung(36, 3, 400, THREE_RATES),
    "test": Rung(48, 5, 400, THREE_RATES, HELD_OUT),
}


@dataclass(frozen=True)
class Protocol:
    """All that a fitness depends on, but for the seed."""

    rungs: Mapping[str, Rung] = field(default_factory=lambda: RUNGS)
    training: Training = field(default_factory=Training)
    ranges: Ranges = field(default_factory=Ranges)
    # a candidate whose fitness on the first rung is lower is stopped there: half of the random ones are (and of the ten
    # best of eighty, one), since the rank correlation of the first two rungs is 0.75
    screen: float = -0.3


def scores(name: str, rung: Rung, problems: Sequence[Problem], arrays: Arrays) -> list[Measurement]:
    """What the predictions of `training.fit` are worth: one measurement per problem and seed.

    The rate is the one with the lowest error on the validation points, which are in distribution. Errors are mean
    squares over the variance of the noiseless training targets; inf where a prediction isn't finite.

    Raises ValueError where the arrays aren't predictions for these problems.
    """
    train_PSR, valid_PSR, ood_PSR = (
        _errors(np.stack([getattr(problem, f"{part}_y_N") for problem in problems]), rung, arrays.get(part))
        for part in ("train", "valid", "ood")
    )
    found = []
    for (p, s), r in np.ndenumerate(valid_PSR.argmin(axis=2)):
        errors = (float(errors_PSR[p, s, r]) for errors_PSR in (train_PSR, valid_PSR, ood_PSR))
        found.append(Measurement(name, problems[p].name, problems[p].family, s, rung.rates[r], *errors))
    return found


def log_ratios(measured: Sequence[Measurement], reference: Sequence[Measurement]) -> dict[str, dict[str, float]]:
    """log(error / error of the reference) out of distribution by family and problem; below 0 is better.

    A cell of problem and seed is compared with the reference's network from the same first weights, clipped to
    +-CLIP; then seeds are averaged. Where the candidate diverged a cell counts as +CLIP, whatever the reference did.
    """
    theirs = {(cell.problem, cell.seed): cell.ood for cell in reference}
    cells: dict[str, dict[str, list[float]]] = {}
    for cell in measured:
        seeds = cells.setdefault(cell.family, {}).setdefault(cell.problem, [])
        seeds.append(_log_ratio(cell.ood, theirs[cell.problem, cell.seed]))
    return {
        family: {problem: float(np.mean(seeds)) for problem, seeds in of_family.items()}
        for family, of_family in cells.items()
    }


def fitness(measured: Sequence[Measurement], reference: Sequence[Measurement]) -> float:
    """Minus the mean log-ratio, problems averaged in their family and families weighted equally.

    Above 0 is better than the reference: 0.1 is an error out of distribution that is 10% lower.
    """
    families = log_ratios(measured, reference).values()
    return -float(np.mean([np.mean(list(of_family.values())) for of_family in families]))


def _log_ratio(error: float, reference: float) -> float:
    if not np.isfinite(error):
        return CLIP
    with np.errstate(divide="ignore"):  # an error of 0 is at the clip
        return float(np.clip(np.log(error) - np.log(reference), -CLIP, CLIP))


def _errors(target_PN: np.ndarray, rung: Rung, predicted: np.ndarray | None) -> np.ndarray:
    """Mean squared errors, P x S x R."""
    shape = (len(target_PN), rung.seeds, len(rung.rates), target_PN.shape[1])
    if predicted is None or predicted.shape != shape:
        raise ValueError(f"no predictions of shape {shape}")
    with np.errstate(all="ignore"):
        errors_PSR = ((predicted.astype(np.float64) - target_PN[:, None, None]) ** 2).mean(axis=3)
    return np.where(np.isfinite(errors_PSR), errors_PSR, np.inf)
