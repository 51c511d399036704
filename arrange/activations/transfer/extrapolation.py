"""What trained networks say beyond the training box, as lines to draw: problems of one input."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from arrange.activations.evaluation import Activation, Admitted
from arrange.activations.fitness.training import fit
from arrange.activations.problems.draw import draw
from arrange.activations.problems.problem import Problem, Ranges

LOOKED_AT = 40  # problems of a family, of which the first with one input is drawn
LINES = pl.Schema(
    {"problem": pl.String(), "activation": pl.String()} | dict.fromkeys(("x", "truth", "prediction"), pl.Float64())
)


def one_input(families: Sequence[str], seed: int, ranges: Ranges) -> list[Problem]:
    """The first problem of one input of each family that has one."""
    drawn = (draw([family], LOOKED_AT, seed, ranges) for family in families)
    alone = ([problem for problem in problems if problem.inputs == 1] for problems in drawn)
    return [problems[0] for problems in alone if problems]


def lines(
    activations: Mapping[str, tuple[Activation, Admitted]],
    problems: Sequence[Problem],
    settings: Mapping[str, object],
    seeds: int,
) -> pl.DataFrame:
    """Truth and predictions (means over seeds) along each problem's input: LINES, x rising.

    settings: those of `fitness.training.fit`, with one rate.
    """
    tables = [pl.DataFrame(schema=LINES)]
    for problem in problems:
        x_ND, truth_N = along(problem)
        arrays = {
            "train_x": problem.train_x_ND[None],
            "train_y": problem.train_y_N[None],
            "valid_x": problem.valid_x_ND[None],
            "ood_x": x_ND[None],
            "inputs": np.array([1]),
            "keys": np.arange(seeds)[None],
        }
        for name, (activation, admitted) in activations.items():
            told = {**settings, "gain": admitted.gain, "pointwise": admitted.pointwise}
            predicted_N = fit(activation, arrays, told)["ood"][0, :, 0].mean(axis=0)
            columns = {"x": x_ND[:, 0], "truth": truth_N, "prediction": predicted_N}
            table = pl.DataFrame({"problem": problem.name, "activation": name, **columns})
            tables.append(table.cast(LINES))
    return pl.concat(tables)


def along(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """All points of a problem whose truth is known without noise, in the order of the input."""
    x_ND = np.concatenate([problem.valid_x_ND, problem.ood_x_ND])
    y_N = np.concatenate([problem.valid_y_N, problem.ood_y_N])
    order_N = np.argsort(x_ND[:, 0])
    return x_ND[order_N], y_N[order_N]
