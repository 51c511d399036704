"""What passes between search, sandbox and evaluator: a job goes in, an outcome comes out, an evaluation is kept."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from torch import Tensor

Activation = Callable[[Tensor], Tensor]
Arrays = Mapping[str, np.ndarray]

REFERENCE = "def activation(x):\n    return F.gelu(x)\n"  # what a portfolio begins with
GRID = np.linspace(-4, 4, 65)  # the points of a candidate's curve: for pictures, and to recognise a function


@dataclass(frozen=True)
class Job:
    """A program to run in the sandbox. It is admitted first, then given to the pool's entry function with `arrays`."""

    source: str
    arrays: Arrays = field(default_factory=dict)  # inputs and training targets, never a target that is scored
    settings: Mapping[str, Any] = field(default_factory=dict)  # plain JSON


@dataclass(frozen=True)
class Admitted:
    """What the admission tests measured of a program."""

    flops: float  # per element
    pointwise: bool  # each element's value depends on that element alone
    gain: float  # 1 / sqrt E f(z)^2 for z standard normal: times this, the activation's scale is normalised
    curve: tuple[float, ...]  # f on GRID; on all of GRID as one batch where f is not pointwise


@dataclass(frozen=True)
class Outcome:
    """What came back from the sandbox. `reason` is empty where the job was done."""

    reason: str = ""  # a word: syntax, forbidden, cost, not_finite, shape, state, cpu, wall, memory, crashed ...
    detail: str = ""  # one line
    admitted: Admitted | None = None
    arrays: Arrays = field(default_factory=dict)  # what the entry function returned


Run = Callable[[Sequence[Job]], list[Outcome]]  # a sandbox's pool; outcomes are in the order of the jobs


@dataclass(frozen=True)
class Measurement:
    """The losses of one problem and seed, at the learning rate that validation picked.

    Losses are mean squared errors over the variance of the training targets; inf where training diverged.
    """

    rung: str
    problem: str
    family: str
    seed: int
    rate: float
    train: float
    valid: float
    ood: float  # out of distribution: on points outside of the training box


@dataclass(frozen=True)
class Evaluation:
    """The result of measuring a program on a set of problems."""

    fitness: float | None  # gain to the portfolio: above 0, the error falls when it may be picked too; None: no score
    reason: str  # why there is no score: the sandbox's word, or `screened` for one stopped after the first rung
    detail: str
    member_steps: int  # what it cost: networks trained x steps, including those that were stopped
    admitted: Admitted | None = None
    measurements: tuple[Measurement, ...] = ()


class Evaluate(Protocol):
    """Measures programs on a set of problems ("search", "confirm" ...), as complements of a portfolio of programs."""

    def __call__(
        self, sources: Sequence[str], name: str, side: int | None = None, portfolio: Sequence[str] = (REFERENCE,)
    ) -> list[Evaluation]:
        """One evaluation per source, in their order. side: the half of the families that is used; None: all."""
        ...
