"""The bandit over mutators, by hand."""

from collections import Counter
from math import e, log, sqrt

import numpy as np
import pytest

from arrange.activations.search.bandit import chances, reward

NONE = Counter()


@pytest.mark.parametrize(
    ("score", "parent", "expected"),
    [(1.0, -3.0, e - 1), (1.0, 0.5, e**0.5 - 1), (0.4, 0.5, 0), (-1.0, -2.0, 0), (2.0, None, e**2 - 1), (None, 0.0, 0)],
)
def test_the_reward_is_for_improvement_over_parent_and_reference(score, parent, expected):
    assert reward(score, parent) == pytest.approx(expected)


def test_the_untried_come_first_and_evenly():
    np.testing.assert_array_equal(chances(["a", "b", "c"], [], NONE), [1 / 3, 1 / 3, 1 / 3])
    np.testing.assert_array_equal(chances(["a", "b", "c"], [("a", 1.0)], NONE), [0, 0.5, 0.5])
    np.testing.assert_array_equal(chances(["a", "b", "c"], [("a", 1.0)], Counter(b=1)), [0, 0, 1])


def upper(mean, asked, of):
    return mean + sqrt(2 * log(of) / asked)


def test_the_highest_bound_is_asked_with_eight_tenths():
    results = [("a", 3.0), ("b", 0.0), ("b", 1.5), ("a", 0.0), ("c", 0.0)]
    a = 0.95**4 + 0.95, 0.95**4 * 3 / 3  # told, and rewards gained in units of the highest
    b = 0.95**3 + 0.95**2, 0.95**2 * 1.5 / 3
    for pending in ([0, 0, 0], [2, 0, 0], [0, 3, 5], [9, 9, 40]):
        of = a[0] + b[0] + 1 + sum(pending)
        bounds = [
            upper(a[1] / a[0], a[0] + pending[0], of),
            upper(b[1] / b[0], b[0] + pending[1], of),
            upper(0.0, 1 + pending[2], of),
        ]
        expected = [0.8 if bound == max(bounds) else 0.1 for bound in bounds]
        np.testing.assert_allclose(chances("abc", results, Counter(dict(zip("abc", pending, strict=True)))), expected)


def test_the_bound_of_one_that_was_tried_more_often_is_nearer_to_its_mean():
    assert upper(1.0, 6, of=7) < upper(0.0, 1, of=7)  # 1.81 and 1.97
    np.testing.assert_allclose(chances("ab", [("a", 1.0)], Counter(a=5, b=1)), [0.2, 0.8])
    np.testing.assert_allclose(chances("ab", [("a", 1.0)], Counter(a=3, b=1)), [0.8, 0.2])


def test_old_success_fades():
    old = [("a", 1.0)] + [("b", 0.2), ("a", 0.0)] * 60
    assert chances("ab", old, NONE)[1] == 0.8
    assert chances("ab", old + [("a", 1.0)] * 9, NONE)[0] == 0.8


def test_equal_bounds_share_the_chances():
    np.testing.assert_array_equal(chances("a", [("a", 0.0)], NONE), [1])
    np.testing.assert_allclose(chances("ab", [("a", 0.0)], Counter(b=1)), [0.5, 0.5])
