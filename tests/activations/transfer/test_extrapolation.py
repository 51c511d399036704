"""Lines beyond the training box: which problems, and which points."""

import numpy as np
from activations.small import ranges

from arrange.activations.problems.draw import draw
from arrange.activations.problems.problem import Problem
from arrange.activations.transfer.extrapolation import LOOKED_AT, along, one_input


def column(*values):
    """Points of one input, padded."""
    return np.array([[value, 0, 0, 0] for value in values], dtype=np.float32)


def test_all_points_with_a_true_target_come_in_the_order_of_the_input():
    y = [np.array(values, dtype=np.float32) for values in ((7, 7), (2, 1), (4, 0, 3))]
    points = column(0, 0), y[0], column(0.5, -0.5), y[1], column(1.5, -1.25, 1.125), y[2]
    x_ND, truth_N = along(Problem("p", "toy", 1, "", *points))
    assert x_ND.tolist() == column(-1.25, -0.5, 0.5, 1.125, 1.5).tolist()
    assert truth_N.tolist() == [0, 1, 2, 3, 4]  # without those of training, which may be noisy


def test_the_first_problem_of_one_input_of_each_family_is_looked_at():
    families, points = ["chirp", "harmonics"], ranges(train=8, valid=4, ood=4)
    found = one_input(families, 1, points)
    assert [problem.family for problem in found] == families
    for problem in found:
        before = [other.inputs for other in draw([problem.family], LOOKED_AT, 1, points)]
        assert (problem.inputs, before.index(1)) == (1, int(problem.name.split()[1]))
