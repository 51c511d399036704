"""Predictions of trained networks beyond the training box, as lines to draw: problems of one input."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
import polars as pl

from arrange.activations.evaluation import Activation, Admitted
from arrange.activations.fitness.training import fit
from arrange.activations.problems.draw import draw
from arrange.activations.problems.problem import Problem
from arrange.activations.settings import Fitness, Ranges

LOOKED_AT = 40  # problems of a family, among which the first with one input is taken
LINES = pl.Schema(
    {"problem": pl.String(), "activation": pl.String()} | dict.fromkeys(("x", "truth", "prediction"), pl.Float64())
)


def one_input(families: Sequence[str], seed: int, ranges: Ranges) -> list[Problem]:
    """The first problem of one input of each family that has one."""
    drawn = (draw([family], LOOKED_AT, seed, ranges) for family in families)
    with_one = ([problem for problem in problems if problem.inputs == 1] for problems in drawn)
    return [problems[0] for problems in with_one if problems]


def lines(
    activations: Mapping[str, tuple[Activation, Admitted]],
    problems: Sequence[Problem],
    fitness: Fitness,
) -> pl.DataFrame:
    """Truth and predictions (means over seeds) along each problem's input: LINES, x rising.

    The networks are trained as on the rung `test`, with the middle one of its learning rates.
    """
    test = fitness.rungs.test
    shared = {**asdict(fitness.training), "steps": test.steps, "rates": test.rates[len(test.rates) // 2 :][:1]}
    tables = [pl.DataFrame(schema=LINES)]
    for problem in problems:
        x_ND, truth_N = along(problem)
        arrays = {
            "train_x": problem.train_x_ND[None],
            "train_y": problem.train_y_N[None],
            "valid_x": problem.valid_x_ND[None],
            "ood_x": x_ND[None],
            "inputs": np.array([1]),
            "keys": np.arange(test.seeds)[None],
        }
        for name, (activation, admitted) in activations.items():
            settings = {**shared, "gain": admitted.gain, "pointwise": admitted.pointwise}
            predicted_N = fit(activation, arrays, settings)["ood"][0, :, 0].mean(axis=0)
            columns = {"x": x_ND[:, 0], "truth": truth_N, "prediction": predicted_N}
            table = pl.DataFrame({"problem": problem.name, "activation": name, **columns})
            tables.append(table.cast(LINES))
    return pl.concat(tables)


def along(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """All points of a problem whose target has no noise, in the order of the input."""
    x_ND = np.concatenate([problem.valid_x_ND, problem.ood_x_ND])
    y_N = np.concatenate([problem.valid_y_N, problem.ood_y_N])
    order_N = np.argsort(x_ND[:, 0])
    return x_ND[order_N], y_N[order_N]
