"""Equations of physics: the Feynman symbolic regression data set (Udrescu and Tegmark 2020).

feynman.csv has the equations of at most four variables that stay finite and below ten standard deviations in training
box and test box. Fourteen others are left out, because each equals one of these up to names of variables and a constant
factor. It was made from the table in PMLB (MIT licence, see feynman.LICENSE). Among the equations with the same number
of variables, every third is for the final test, the others are for the search.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

from arrange.activations.problems.families import Target
from arrange.activations.problems.formula import evaluate

TABLE = Path(__file__).with_name("feynman.csv")
Split = Literal["search", "test"]


@dataclass(frozen=True)
class Equation:
    """A formula and the training range of each of its variables."""

    name: str
    split: str
    formula: str
    variables: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def target(self) -> Target:
        """The formula as a function of inputs in units of the training box, tested on larger values only."""
        low_D, high_D = np.array(self.low), np.array(self.high)

        def values(x_ND: np.ndarray) -> np.ndarray:
            physical_ND = low_D + (high_D - low_D) * (x_ND + 1) / 2
            return evaluate(self.formula, dict(zip(self.variables, physical_ND.T, strict=True)))

        return Target(len(self.variables), values, upwards=True, about=f"{self.name}: {self.formula}")


@cache
def equations(split: Split) -> Sequence[Equation]:
    """The table's equations for the search, or those for the final test."""
    with TABLE.open(newline="") as file:
        return tuple(_equation(row) for row in csv.DictReader(file) if row["split"] == split)


def _equation(row: dict[str, str]) -> Equation:
    low, high = (tuple(map(float, row[name].split())) for name in ("low", "high"))
    return Equation(row["name"], row["split"], row["formula"], tuple(row["variables"].split()), low, high)
