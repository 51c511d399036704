from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrange.errors import UserError
from arrange.ranking.losses import RULES, weights

RANKS = st.lists(st.integers(1, 200) | st.none(), max_size=30).map(lambda ranks: [1, *ranks])


@pytest.mark.parametrize(
    ("loss", "parameters", "ranks", "expected"),
    [
        ("ntp", {}, [1, 2, 3], [1, 0, 0]),
        ("ntp", {}, [1, 1, 2, None], [1 / 2, 1 / 2, 0, 0]),
        ("item", {"alpha": 1}, [1, 2, 3], [6 / 11, 3 / 11, 2 / 11]),
        ("item", {"alpha": 2}, [1, 2, 2, None], [4 / 6, 1 / 6, 1 / 6, 0]),
        ("item", {"alpha": 0}, [1, 2, 3, None], [1 / 3, 1 / 3, 1 / 3, 0]),
    ],
)
def test_weights_by_hand(loss, parameters, ranks, expected):
    assert weights(loss, parameters, ranks) == pytest.approx(expected, abs=1e-15)


@given(RANKS, st.floats(0, 20))
def test_weights_sum_to_one_and_never_rise_with_rank(ranks, alpha):
    for loss, parameters in (("ntp", {}), ("item", {"alpha": alpha})):
        weights_D = weights(loss, parameters, ranks)
        assert weights_D.sum() == pytest.approx(1)
        ranked = [(rank, weight) for rank, weight in zip(ranks, weights_D, strict=True) if rank]
        in_order = [weight for _, weight in sorted(ranked, key=lambda pair: pair[0])]
        assert all(a >= b for a, b in pairwise(in_order))
        assert all(weight == 0 for rank, weight in zip(ranks, weights_D, strict=True) if rank is None)


@given(RANKS)
def test_item_without_end_is_ntp(ranks):
    assert np.array_equal(weights("item", {"alpha": np.inf}, ranks), weights("ntp", {}, ranks))


@pytest.mark.parametrize(
    ("loss", "parameters", "words"),
    [
        ("itme", {"alpha": 1}, ["itme", "did you mean 'item'"]),
        ("item", {}, ["'item'", "none", "alpha"]),
        ("ntp", {"alpha": 1}, ["'ntp'", "alpha", "none"]),
        ("item", {"alpha": -1}, ["alpha", "-1", "at least 0"]),
        ("item", {"alpha": float("nan")}, ["alpha", "nan"]),
    ],
)
def test_mistakes_are_named(loss, parameters, words):
    with pytest.raises(UserError) as caught:
        weights(loss, parameters, [1, 2])
    assert all(word in str(caught.value) for word in words)


def test_every_rule_takes_ranks_first():
    assert all(next(iter(rule.__code__.co_varnames)) == "ranks_D" for rule in RULES.values())
