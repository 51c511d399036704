from itertools import combinations, pairwise
from math import factorial, pi

import numpy as np
import pytest
import torch

from arrange.baselines.expressivity import (
    Generator,
    bound_of_orders,
    generated_orders,
    orders_by_distance,
    orders_by_inner_product,
    too_few_dimensions,
    trained_orders,
)


def test_the_counts_of_five_documents():
    assert [orders_by_inner_product(n, 5) for n in (1, 2, 3, 4, 5)] == [2, 20, 72, 120, 120]
    assert [orders_by_distance(n, 5) for n in (0, 1, 2, 3, 4, 5)] == [1, 11, 46, 96, 120, 120]
    assert orders_by_distance(3, 1) == 1


def stirling(k, j):
    """|s(k, j)|: the number of permutations of k with j cycles, the coefficient of x^j in x (x + 1) .. (x + k - 1)."""
    return round(np.poly(-np.arange(k))[::-1][j])


def test_the_counts_are_sums_of_stirlings_numbers():
    """Good and Tideman 1977 for distance; by inner product opposite queries have opposite orders (Cover 1967)."""
    for k in range(2, 9):
        for n in range(1, k):
            assert orders_by_distance(n, k) == sum(stirling(k, k - i) for i in range(n + 1))
            assert orders_by_inner_product(n, k) == 2 * sum(stirling(k, j) for j in range(k - n + 1, k + 1, 2))
            assert orders_by_inner_product(n, k) <= orders_by_distance(n, k) <= bound_of_orders(n, k)
    assert [(orders_by_inner_product(1, k), orders_by_distance(1, k)) for k in (5, 8)] == [(2, 11), (2, 29)]
    assert [orders_by_inner_product(2, k) for k in (5, 8)] == [20, 56]  # k (k - 1)


def test_inner_products_in_space_by_brute_force():
    """Many queries of five documents in three dimensions find all 72 orders, and no other."""
    rng = np.random.default_rng(2)
    orders_QK = (rng.normal(size=(100_000, 3)) @ rng.normal(size=(3, 5))).argsort(axis=1)
    assert len(np.unique(orders_QK, axis=0)) == orders_by_inner_product(3, 5) == 72


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


def test_trained_encoders_show_no_more_orders_than_there_are():
    shares = [trained_orders(n, 5, seed=0, steps=200) for n in (1, 2, 3, 4)]
    assert shares[0] == pytest.approx(2 / 120)
    assert shares == sorted(shares)
    assert all(share <= orders_by_inner_product(n + 1, 5) / 120 + 1e-9 for n, share in enumerate(shares))


def test_plackett_luce_comes_near_all_that_there_are():
    assert trained_orders(3, 5, seed=0) > 0.9 * orders_by_inner_product(3, 5) / 120
    assert trained_orders(4, 5, seed=0) == 1
    assert trained_orders(3, 5, seed=0) == trained_orders(3, 5, seed=0)


def test_a_generator_sees_no_later_step():
    """What is given at the third step changes its logits, and none before."""
    torch.manual_seed(0)
    model, order = Generator(4, dimensions=2), torch.tensor([[2, 0, 3, 1]])
    with torch.inference_mode():
        before = model(order)
        model.places.weight[4 + 2] += 1
        after = model(order)
    assert before.shape == (1, 4, 4)
    assert torch.equal(before[:, :2], after[:, :2])
    assert not torch.isclose(before[:, 2], after[:, 2]).any()


@pytest.mark.slow
def test_a_generator_of_two_dimensions_gives_orders_that_it_has_not_seen():
    """Two dimensions show 30 of the 720 orders of six documents to a dual encoder."""
    assert generated_orders(6, seed=0, dimensions=2, steps=300) > 4 * orders_by_inner_product(2, 6) / 720
