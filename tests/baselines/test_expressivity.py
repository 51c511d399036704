from itertools import combinations, pairwise
from math import factorial, pi

import numpy as np
import pytest

from arrange.baselines.expressivity import (
    orders_by_distance,
    orders_by_inner_product,
    plackett_luce,
    softmax,
    too_few_dimensions,
    trained_orders,
)


def test_the_counts_of_five_documents():
    assert [orders_by_inner_product(n, 5) for n in (1, 2, 3, 4, 5)] == [2, 20, 72, 120, 120]
    assert [orders_by_distance(n, 5) for n in (0, 1, 2, 3, 4, 5)] == [1, 11, 46, 96, 120, 120]
    assert orders_by_distance(3, 1) == 1


def test_all_orders_are_first_there_at_one_dimension_less_than_documents():
    for k in range(3, 12):
        for count in (orders_by_inner_product, orders_by_distance):
            assert count(k - 1, k) == factorial(k)
            assert count(k - 2, k) < factorial(k)


def test_four_dimensions_show_few_orders_of_ten_documents():
    assert orders_by_inner_product(4, 10) / factorial(10) == pytest.approx(0.0052, abs=5e-5)
    assert orders_by_distance(4, 10) / factorial(10) == pytest.approx(0.020, abs=5e-4)


def test_the_bound_of_the_proposition_and_that_it_is_no_better_than_the_counts():
    assert too_few_dimensions(10) == pytest.approx(0.33 * 10, abs=0.05)
    assert too_few_dimensions(100) == pytest.approx(0.39 * 100, abs=0.5)
    for k in range(3, 12):
        least = next(n for n in range(1, k) if orders_by_inner_product(n, k) == factorial(k))
        assert too_few_dimensions(k) <= least


@pytest.mark.parametrize("k", [3, 4, 5, 6])
def test_inner_products_in_the_plane_by_brute_force(k):
    """Between two neighbouring directions at right angles to a difference of points, the order stays."""
    points_KN = np.random.default_rng(k).normal(size=(k, 2))
    differences = [points_KN[a] - points_KN[b] for a, b in combinations(range(k), 2)]
    turns = sorted((np.arctan2(d[1], d[0]) + side * pi / 2) % (2 * pi) for d in differences for side in (1, -1))
    angles = [(a + b) / 2 for a, b in pairwise([*turns, turns[0] + 2 * pi])]
    orders = {tuple(np.argsort(points_KN @ [np.cos(angle), np.sin(angle)])) for angle in angles}
    assert len(orders) == orders_by_inner_product(2, k)


@pytest.mark.parametrize("k", [3, 4, 5])
def test_distances_in_the_plane_by_brute_force(k):
    """Every cell between the bisectors has a corner where two of them meet: all that is near one is looked at."""
    points_KN = np.random.default_rng(k).normal(size=(k, 2))
    bisectors = [
        (points_KN[a] - points_KN[b], (points_KN[a] @ points_KN[a] - points_KN[b] @ points_KN[b]) / 2)
        for a, b in combinations(range(k), 2)
    ]
    circle = np.stack([np.cos(np.arange(2000) * pi / 1000), np.sin(np.arange(2000) * pi / 1000)], axis=1)
    orders = set()
    for (normal_a, offset_a), (normal_b, offset_b) in combinations(bisectors, 2):
        corner = np.linalg.solve(np.stack([normal_a, normal_b]), [offset_a, offset_b])
        near_CN = corner + 1e-6 * circle
        distance_CK = ((near_CN[:, None] - points_KN) ** 2).sum(axis=2)
        orders |= set(map(tuple, distance_CK.argsort(axis=1).tolist()))
    assert len(orders) == orders_by_distance(2, k)


@pytest.mark.parametrize("loss", [plackett_luce, softmax])
def test_trained_encoders_show_no_more_orders_than_there_are(loss):
    shares = [trained_orders(n, 5, seed=0, loss=loss, steps=200) for n in (1, 2, 3, 4)]
    assert shares[0] == pytest.approx(2 / 120)
    assert shares == sorted(shares)
    assert all(share <= orders_by_inner_product(n + 1, 5) / 120 + 1e-9 for n, share in enumerate(shares))


def test_plackett_luce_comes_near_all_that_there_are():
    assert trained_orders(3, 5, seed=0) > 0.9 * orders_by_inner_product(3, 5) / 120
    assert trained_orders(4, 5, seed=0) == 1
    assert trained_orders(3, 5, seed=0) == trained_orders(3, 5, seed=0)
