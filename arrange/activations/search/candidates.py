"""What a search works with: candidates, the slots that they fill, the mutators that propose them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Protocol, runtime_checkable

import numpy as np

from arrange.activations.evaluation import GRID, Admitted, Measurement

SEED = "seed"  # the mutator of the programs that a search begins with
SCALES = np.geomspace(0.25, 1, 65)  # of the input, at which two curves are compared
NEAR, EQUAL = 0.08, 3e-3  # distances of curves, relative to their size: worth a closer look; the same function

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
    side: int  # the families that it was proposed on; it was re-tested on the others
    source: str
    canonical: str
    mutator: str
    parents: tuple[int, ...] = ()
    note: str = ""
    admitted: Admitted | None = None
    fitness: float | None = None  # gain to the portfolio of its time, on its side's problems
    reason: str = ""  # why there is no fitness, one word
    detail: str = ""
    confirmed: float | None = None  # gain to the portfolio of its time, on the other side's families
    confirm_reason: str | None = None  # None: not re-tested
    member_steps: int = 0
    measurements: tuple[tuple[str, Measurement], ...] = ()  # with their sets; of these only "confirm" is read back

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
    """Whether two programs are the same text, or the same function up to scale and sign of its input and its output.

    The gain removes the output's scale before training, and the input's scale acts as another learning rate. A sign is
    equivalent to another sign of first weights, and these are symmetric: -f is f trained from another seed. Scales of
    the input from 1/4 to 4 are seen. Programs that are not pointwise are compared by their text alone.
    """
    (text, admitted), (other_text, other_admitted) = one, other
    if text == other_text:
        return True
    if not (admitted and other_admitted and admitted.pointwise and other_admitted.pointwise):
        return False
    return _is_scaled(admitted.curve, other_admitted.curve) or _is_scaled(other_admitted.curve, admitted.curve)


def _is_scaled(curve: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Whether the curve is that of c f(k x), f the function of the other curve and |k| in SCALES."""
    rows_KG = _at_scales(other)
    for signed in (curve, curve[::-1]):
        distance_K = _distances(rows_KG, np.asarray(signed))
        nearest = int(distance_K.argmin())
        if distance_K[nearest] <= EQUAL:
            return True
        if distance_K[nearest] < NEAR and _closest(signed, other, nearest) <= EQUAL:
            return True
    return False


def _distances(rows_KG: np.ndarray, curve_G: np.ndarray) -> np.ndarray:
    """How far the curve is from the nearest multiple of each row (of length 1), over the curve's own length."""
    cosine_K = np.minimum(np.abs(rows_KG @ _unit(curve_G[None])[0]), 1)
    return np.sqrt(1 - cosine_K**2)


@lru_cache(4096)
def _at_scales(curve: tuple[float, ...]) -> np.ndarray:
    """f(k x) on GRID at each of SCALES, a row each, of length 1."""
    return _unit(_resampling() @ np.asarray(curve))


def _closest(curve: tuple[float, ...], other: tuple[float, ...], nearest: int) -> float:
    """The least distance at scales around the nearest of SCALES."""
    low, high = SCALES[max(nearest - 1, 0)], SCALES[min(nearest + 1, len(SCALES) - 1)]
    fine_K = np.linspace(low, high, 41)
    return float(_distances(_unit(_spline(other)(np.outer(fine_K, GRID))), np.asarray(curve)).min())


def _unit(rows_KG: np.ndarray) -> np.ndarray:
    """The rows with length 1; first by their largest value, whose square may be no number any more."""
    rows_KG = rows_KG / np.maximum(np.abs(rows_KG).max(axis=1, keepdims=True), 1e-30)
    return rows_KG / np.maximum(np.linalg.norm(rows_KG, axis=1, keepdims=True), 1e-30)


@cache
def _resampling() -> np.ndarray:
    """What takes a curve on GRID to its values at scaled points, K x G x G."""
    return _spline(np.eye(len(GRID)))(np.outer(SCALES, GRID))


def _spline(values: Sequence[float] | np.ndarray) -> Any:
    from scipy.interpolate import CubicSpline  # slow to import, and most users of this module compare nothing

    return CubicSpline(GRID, np.asarray(values))


def is_among(one: Function, others: Iterable[Function]) -> bool:
    """Whether a program is the same as one of these."""
    return any(same(one, other) for other in others)
