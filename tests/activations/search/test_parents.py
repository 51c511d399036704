"""Parents are drawn by the weights of the papers."""

import itertools
from math import exp

import numpy as np
import pytest

from arrange.activations.search.parents import draw, log_weights

FITNESS, CHILDREN = [3.0, 0.0, 2.0, 10.0, 1.0], [0, 0, 1, 3, 0]  # median 2, deviations 1 2 0 8 1, their median 1


def sigmoid(z):
    return 1 / (1 + exp(-z))


@pytest.mark.parametrize(
    ("rule", "weights"),
    [
        ("uniform", [1, 1, 1, 1, 1]),
        ("weighted", [sigmoid(10), sigmoid(-20), sigmoid(0) / 2, sigmoid(80) / 4, sigmoid(-10)]),
        ("rank", [1 / 2, 1 / 5, 1 / 3, 1, 1 / 4]),
    ],
)
def test_weights_by_hand(rule, weights):
    np.testing.assert_allclose(np.exp(log_weights(rule, FITNESS, CHILDREN)), weights, rtol=1e-9)


def test_the_best_are_taken_in_order_whatever_the_draw():
    for seed in range(50):
        assert draw(log_weights("best", FITNESS, CHILDREN), 3, np.random.default_rng(seed)) == [3, 0, 2]


def test_elites_that_are_equal_weigh_the_same_but_for_their_children():
    np.testing.assert_allclose(np.exp(log_weights("weighted", [0.3] * 3, [0, 1, 3])), [1 / 2, 1 / 4, 1 / 8])


def test_a_hopeless_program_is_still_drawn_when_no_other_is_left():
    weights = log_weights("weighted", [0.0, 0.0, 1e-9, -1e9], [0, 0, 0, 0])
    assert sorted(draw(weights, 9, np.random.default_rng(0))) == [0, 1, 2, 3]


def test_draws_follow_the_weights_one_after_another_without_replacement():
    weights, draws = np.array([0.5, 0.3, 0.15, 0.05]), 20_000
    rng = np.random.default_rng(0)
    counts = dict.fromkeys(itertools.permutations(range(4), 2), 0)
    for _ in range(draws):
        counts[tuple(draw(np.log(weights), 2, rng))] += 1
    for (first, second), count in counts.items():
        chance = weights[first] * weights[second] / (1 - weights[first])
        assert abs(count / draws - chance) < 4 * (chance / draws) ** 0.5
