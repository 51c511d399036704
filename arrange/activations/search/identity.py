"""When two programs are one function: what a search keeps, re-tests and reports once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from arrange.activations.evaluation import Admitted

TOLERANCE = 1e-6  # of values around 1: `2.24 * F.gelu(x)`, its scale normalised, rounds otherwise than `F.gelu(x)`


@dataclass(frozen=True)
class Identity:
    """A program's canonical text and, where it is pointwise, its curve on GRID with its scale normalised."""

    canonical: str
    curve: tuple[float, ...] = ()


def identity(canonical: str, admitted: Admitted | None = None) -> Identity:
    """The identity of a program; of one that was not admitted, or is not pointwise, its text is all that there is."""
    if not admitted or not admitted.pointwise:
        return Identity(canonical)
    return Identity(canonical, tuple(admitted.gain * value for value in admitted.curve))


def same(one: Identity, other: Identity) -> bool:
    """Whether two programs are the same text, or the same function up to its scale and sign.

    The gain takes the scale away before training. The sign is in the next layer's first weights, which are as likely
    as those of the opposite sign: -f is f from another seed, and its fitness another draw of the same luck.
    """
    if one.canonical == other.canonical or not (one.curve and other.curve):
        return one.canonical == other.canonical
    mine, others = np.asarray(one.curve), np.asarray(other.curve)
    return any(np.allclose(mine, sign * others, rtol=TOLERANCE, atol=TOLERANCE) for sign in (1, -1))


def among(one: Identity, others: Iterable[Identity]) -> bool:
    """Whether a program is the same as one of these."""
    return any(same(one, other) for other in others)


def identities(candidates: pl.DataFrame) -> list[Identity]:
    """Those of a table's rows: canonical, pointwise, gain and curve, the last three null where it was not admitted."""
    rows = candidates.select("canonical", "pointwise", "gain", "curve").iter_rows()
    return [identity(text, Admitted(0.0, *facts) if facts[0] else None) for text, *facts in rows]


def distinct(candidates: pl.DataFrame, known: Sequence[Identity] = ()) -> pl.DataFrame:
    """The first row of each function, in order, without those that are the same as one of `known`."""
    seen, kept = list(known), []
    for row, one in enumerate(identities(candidates)):
        if not among(one, seen):
            seen.append(one)
            kept.append(row)
    return candidates[kept]
