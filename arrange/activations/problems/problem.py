"""A regression problem: a function, points of the training box, and points outside of it.

Shapes: N points, D inputs. The training box is [-1, 1]^D. The test box reaches `stretch` times as far from the centre,
on all sides, or only upwards for a function that is not well behaved below. Points out of distribution lie in the test
box and outside of the training box.
"""

from dataclasses import dataclass

import numpy as np

from arrange.activations.problems.families import INPUTS, Target
from arrange.activations.settings import Ranges


@dataclass(frozen=True)
class Problem:
    """Points of a target. Inputs are N x INPUTS in units of the training box, all float32.

    Targets are standardised by the mean and standard deviation of the noiseless training targets, so that predicting
    their mean has a mean squared error of 1.
    """

    name: str
    family: str
    inputs: int  # columns in use
    about: str
    train_x_ND: np.ndarray
    train_y_N: np.ndarray
    valid_x_ND: np.ndarray
    valid_y_N: np.ndarray
    ood_x_ND: np.ndarray
    ood_y_N: np.ndarray


def sample(name: str, family: str, target: Target, ranges: Ranges, rng: np.random.Generator) -> Problem | None:
    """A problem from fresh points of the target.

    None where the target is constant on the training points, or where a value is not finite or lies more than
    `ranges.limit` standard deviations from the training targets' mean.
    """
    train, valid = (rng.uniform(-1, 1, (count, target.inputs)) for count in (ranges.train, ranges.valid))
    ood = outside(target, ranges, rng)
    noise_N = ranges.noise * rng.standard_normal(ranges.train)
    with np.errstate(all="ignore"):
        raw = [target.function(x_ND) for x_ND in (train, valid, ood)]
        mean, deviation = raw[0].mean(), raw[0].std()
        train_y, valid_y, ood_y = ((y_N - mean) / deviation for y_N in raw)
    if not deviation > 1e-9 * abs(mean) or not all(np.abs(y).max() <= ranges.limit for y in (train_y, valid_y, ood_y)):
        return None
    return Problem(
        *(name, family, target.inputs, target.about),
        *(padded(train), (train_y + noise_N).astype(np.float32)),
        *(padded(valid), valid_y.astype(np.float32)),
        *(padded(ood), ood_y.astype(np.float32)),
    )


def outside(target: Target, ranges: Ranges, rng: np.random.Generator) -> np.ndarray:
    """Points drawn uniformly from the part of the test box outside of the training box."""
    low = -1 if target.upwards else -ranges.stretch
    kept = np.empty((0, target.inputs))
    while len(kept) < ranges.ood:
        x_ND = rng.uniform(low, ranges.stretch, (ranges.ood, target.inputs))
        kept = np.concatenate([kept, x_ND[np.abs(x_ND).max(axis=1) > 1]])
    return kept[: ranges.ood]


def padded(x_ND: np.ndarray) -> np.ndarray:
    """The inputs as float32 with zero columns up to INPUTS."""
    return np.pad(x_ND, ((0, 0), (0, INPUTS - x_ND.shape[1]))).astype(np.float32)
