from itertools import permutations

import numpy as np
import pytest
from activations.small import ranges

from arrange.activations.problems.feynman import equations
from arrange.activations.problems.problem import outside

ALL = [*equations("search"), *equations("test")]


def normalised(equation, x_ND):
    y_N = equation.target().function(x_ND[:, : equation.target().inputs])
    return (y_N - y_N.mean()) / y_N.std()


def test_every_equation_is_on_one_side_of_the_split():
    assert len({equation.name for equation in ALL}) == len(ALL) == 42
    assert (len(equations("search")), len(equations("test"))) == (29, 13)


def test_an_equation_has_the_values_of_its_formula_in_physical_units():
    (relativity,) = [equation for equation in ALL if equation.name == "I.48.2"]  # m c^2 / sqrt(1 - v^2 / c^2)
    target = relativity.target()
    corner = np.array([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0], [1.6, -1.0, 0.0]])  # m 1-5, v 1-2, c 3-10
    expected = [9 / np.sqrt(1 - 1 / 9), 500 / np.sqrt(1 - 4 / 100), 6.2 * 6.5**2 / np.sqrt(1 - 1 / 6.5**2)]
    np.testing.assert_allclose(target.function(corner), expected)
    assert (target.inputs, target.upwards) == (3, True)


@pytest.mark.parametrize("equation", ALL, ids=lambda equation: equation.name)
def test_equations_are_finite_and_rarely_beyond_ten_standard_deviations(equation):
    target, rng = equation.target(), np.random.default_rng(0)
    y_N = target.function(rng.uniform(-1, 1, (4000, target.inputs)))
    ood_N = target.function(outside(target, ranges(ood=4000), rng))
    distance_N = np.abs(np.concatenate([y_N, ood_N]) - y_N.mean()) / y_N.std()
    assert np.isfinite(distance_N).all()
    assert (distance_N > 10).mean() <= 0.002


def test_no_two_equations_are_the_same_function_up_to_names_and_factors():
    x_ND = np.random.default_rng(0).uniform(-1, 1, (200, 4))
    values = [
        {
            tuple(np.round(normalised(equation, x_ND[:, list(order)]) * sign, 6))
            for order in permutations(range(equation.target().inputs))
            for sign in (1, -1)
        }
        for equation in ALL
    ]
    shared = [(a, b) for a in range(len(ALL)) for b in range(a) if values[a] & values[b]]
    assert not shared
