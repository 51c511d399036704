"""Who holds a place: the best few, or the best of each cell of cost and roughness (MAP-Elites)."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from arrange.activations.evaluation import GRID, Admitted
from arrange.activations.search.identity import Identity, among

Cell = tuple[int, int]
ANYWHERE: Cell = (0, 0)  # where the archive is off


@dataclass(frozen=True)
class Entry:
    """A program and the fitness that it stands for."""

    id: int
    source: str
    identity: Identity
    fitness: float
    cell: Cell


def roughness(admitted: Admitted) -> float:
    """How much the slope of a curve changes in all over GRID, its scale normalised: ReLU sqrt 2, a line 0."""
    return float(np.abs(np.diff(admitted.curve, 2)).sum() * admitted.gain / (GRID[1] - GRID[0]))


def cell(admitted: Admitted) -> Cell:
    """Cost in FLOPs per element, and roughness, each by doublings: 0 to 1, to 3, to 7, to 15 ..."""
    return _doublings(admitted.flops), _doublings(roughness(admitted))


def _doublings(value: float) -> int:
    return int(math.log2(1 + value))


def keep(entries: Iterable[Entry], places: int) -> list[Entry]:
    """The `places` best of each cell, best first; the older of equals, and no function twice."""
    kept: list[Entry] = []
    taken: Counter[Cell] = Counter()
    for entry in sorted(entries, key=lambda entry: (-entry.fitness, entry.id)):
        if taken[entry.cell] < places and not among(entry.identity, (other.identity for other in kept)):
            kept.append(entry)
            taken[entry.cell] += 1
    return kept
