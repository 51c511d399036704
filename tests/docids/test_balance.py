from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from arrange.docids import balance

RNG = np.random.default_rng(0)


def cost(costs_DK: np.ndarray, code_D: np.ndarray) -> float:
    return float(costs_DK[np.arange(len(code_D)), code_D].sum())


@given(st.integers(1, 6), st.integers(1, 4), st.integers(0, 2**31))
def test_the_assignment_is_the_best_of_all_balanced_ones(documents: int, codes: int, seed: int) -> None:
    costs_DK = np.random.default_rng(seed).integers(0, 6, (documents, codes)).astype(float)
    code_D = balance.assign(costs_DK)
    every = (np.array(each) for each in product(range(codes), repeat=documents))
    sizes = ((np.bincount(each, minlength=codes), each) for each in every)
    balanced = [each for size_K, each in sizes if size_K.max() - size_K.min() <= 1]
    assert cost(costs_DK, code_D) == min(cost(costs_DK, each) for each in balanced)
    assert np.ptp(np.bincount(code_D, minlength=codes)) <= 1


@pytest.mark.parametrize(("documents", "codes"), [(40, 8), (60, 60)])
def test_where_codes_divide_documents_it_costs_what_scipy_finds_for_repeated_codes(documents: int, codes: int) -> None:
    costs_DK = RNG.normal(size=(documents, codes))
    repeated_DD = np.tile(costs_DK, documents // codes)
    assert cost(costs_DK, balance.assign(costs_DK)) == pytest.approx(
        repeated_DD[linear_sum_assignment(repeated_DD)].sum()
    )


@pytest.mark.parametrize(("documents", "codes"), [(1, 1), (3, 7), (41, 8), (500, 16)])
def test_sizes_differ_by_one_at_most_and_nobody_would_leave_at_these_prices(documents: int, codes: int) -> None:
    costs_DK = RNG.normal(size=(documents, codes))
    code_D = balance.assign(costs_DK)
    assert np.ptp(np.bincount(code_D, minlength=codes)) <= 1
    price_K = balance.prices(costs_DK, code_D)
    assert price_K.min() == 0
    priced_DK = costs_DK + price_K
    assert (priced_DK[np.arange(documents), code_D] <= priced_DK.min(axis=1) + 1e-9).all()


def test_equal_documents_are_spread() -> None:
    assert np.bincount(balance.assign(np.zeros((7, 3)))).tolist() in ([2, 2, 3], [2, 3, 2], [3, 2, 2])
