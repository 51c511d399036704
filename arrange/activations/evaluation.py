"""What passes between search, sandbox and scorer: a job goes in, predictions come out, an evaluation is kept."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

Activation = Callable[[Tensor], Tensor]
Arrays = Mapping[str, np.ndarray]

# where a candidate's curve is sampled: pictures, smoothness and novelty see the function there
GRID = np.linspace(-4, 4, 65)


@dataclass(frozen=True)
class Job:
    """One program to run in the sandbox: admitted first, then handed with `arrays` to the pool's entry function."""

    source: str
    arrays: Arrays = field(default_factory=dict)  # inputs and training targets; never a target that is scored
    settings: Mapping[str, Any] = field(default_factory=dict)  # plain JSON


@dataclass(frozen=True)
class Admitted:
    """What the admission tests found out about a program."""

    flops: float  # per element
    pointwise: bool  # independent of batch composition and feature order
    gain: float  # 1 / sqrt E f(z)^2 for z standard normal: what normalises its scale
    curve: tuple[float, ...]  # f on GRID; all of GRID as one batch where f is not pointwise


@dataclass(frozen=True)
class Outcome:
    """What came back from the sandbox; `reason` is empty where all went well."""

    reason: str = ""  # a word: syntax, forbidden, cost, not_finite, shape, state, cpu, wall, memory, crashed ...
    detail: str = ""  # one line for people
    admitted: Admitted | None = None
    arrays: Arrays = field(default_factory=dict)  # what the entry function returned


Run = Callable[[Sequence[Job]], list[Outcome]]  # a sandbox's pool, or anything that keeps the order of the jobs


@dataclass(frozen=True)
class Measurement:
    """One trained network's losses: a cell of problem and seed, at the learning rate that validation picked."""

    rung: str
    problem: str
    family: str
    seed: int
    rate: float
    train: float
    valid: float
    ood: float  # mean squared error over the variance of the training targets; inf where training diverged


@dataclass(frozen=True)
class Evaluation:
    """All that is known of a candidate after its measurements."""

    fitness: float | None  # mean clipped log-ratio, minus: above 0 is better than the reference; None: no score
    reason: str  # "" or why there is no score: the sandbox's word, or `screened` for one stopped after the first rung
    detail: str
    member_steps: int  # spent on it: networks trained x steps, stopped ones included
    admitted: Admitted | None = None
    measurements: tuple[Measurement, ...] = ()


Evaluate = Callable[[Sequence[str], str], list[Evaluation]]  # sources, name of the set of problems: "search", "confirm"
