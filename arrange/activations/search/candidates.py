"""What a search works with: candidates, the slots that they fill, the mutators that propose them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from arrange.activations.evaluation import Admitted, Measurement

SEED = "seed"  # the mutator of the programs that a search begins with
TOLERANCE = 1e-5  # of curves in float32, with values around 1: `2.24 * F.gelu(x)` is rounded unlike `F.gelu(x)`

Function = tuple[str, Admitted | None]  # a canonical text and, where the program was admitted, its curve


@dataclass(frozen=True)
class Slot:
    """Where in a search a program is asked for. It decides the random numbers, and an LLM's answers are kept by it."""

    generation: int
    place: int
    attempt: int

    @property
    def round(self) -> tuple[int, int]:
        """Generation and attempt. The slots of a round are asked for together, one round after the other."""
        return self.generation, self.attempt


@dataclass(frozen=True)
class Candidate:
    """A program in a search, from its proposal to its re-test: a row of the table `candidates` in schema.sql."""

    id: int  # from 1, in the order of generation, place and attempt
    slot: Slot
    island: int | None  # None: on all islands
    source: str
    canonical: str
    mutator: str
    parents: tuple[int, ...] = ()
    note: str = ""
    admitted: Admitted | None = None
    fitness: float | None = None  # on the search's problems
    reason: str = ""  # why there is no fitness, one word
    detail: str = ""
    confirmed: float | None = None  # fitness in the re-test, on fresh problems and seeds
    confirm_reason: str | None = None  # None: not re-tested
    member_steps: int = 0
    measurements: tuple[tuple[str, Measurement], ...] = ()  # with their sets; not read back from the database

    @property
    def function(self) -> Function:
        """What `same` compares."""
        return self.canonical, self.admitted


@dataclass(frozen=True)
class Proposal:
    """A program that a mutator made, and the ids of the parents that it was made from."""

    source: str
    parents: tuple[int, ...] = ()
    note: str = ""


class Unusable(Exception):  # noqa: N818 (an answer, not an error)
    """A mutator's answer that holds no program. The message is the reason, one line. It is counted, never fatal."""


class Mutator(Protocol):
    """Makes a new program from parents; without parents, from nothing."""

    def __call__(self, parents: Sequence[Candidate], rng: np.random.Generator, slot: Slot) -> Proposal:
        """Return a program, or raise `Unusable`. Parents are elites: their fitness is `confirmed`."""
        ...


@runtime_checkable
class Prepared(Protocol):
    """A mutator that is told of all slots of a round before it is called for the first of them."""

    def prepare(self, parents: Sequence[Candidate], slot: Slot) -> None:
        """Note what the slot will ask for."""
        ...


@runtime_checkable
class Limited(Protocol):
    """A mutator with a budget of its own."""

    def spent(self, generation: int) -> bool:
        """Whether it can make no program in this generation or a later one."""
        ...


def same(one: Function, other: Function) -> bool:
    """Whether two programs are the same text, or the same function up to its scale and sign.

    The gain removes the scale before training. The sign is equivalent to another sign of the next layer's first
    weights, and these are symmetric: -f is f trained from another seed. Programs that are not pointwise are compared
    by their text alone.
    """
    (text, admitted), (other_text, other_admitted) = one, other
    if text == other_text:
        return True
    if not (admitted and other_admitted and admitted.pointwise and other_admitted.pointwise):
        return False
    curve, other_curve = admitted.normalised_curve, other_admitted.normalised_curve
    return any(np.allclose(curve, sign * other_curve, rtol=TOLERANCE, atol=TOLERANCE) for sign in (1, -1))


def is_among(one: Function, others: Iterable[Function]) -> bool:
    """Whether a program is the same as one of these."""
    return any(same(one, other) for other in others)
