"""Who is champion: the paired test on the validation queries."""

from itertools import product

import polars as pl
import pytest

from arrange.errors import UserError
from arrange.serving.champion import Comparison, compare


def table(values, clusters=None):
    ids = [f"q{number}" for number in range(len(values))]
    return pl.DataFrame({"query_id": ids, "cluster": clusters or ids, "nDCG@10": values, "R@10": [0.0] * len(values)})


def test_the_difference_is_of_pairs_whatever_the_order_of_rows():
    old, new = table([0.1, 0.9, 0.4, 0.2]), table([0.3, 0.8, 0.8, 0.2])
    found = compare(new.sort("nDCG@10"), old)
    assert found.difference == pytest.approx((0.2 - 0.1 + 0.4 + 0.0) / 4)
    assert found.low <= found.difference <= found.high
    assert found.queries == 4
    assert compare(old, new).difference == pytest.approx(-found.difference)


def test_p_is_near_that_of_all_signs_of_the_clusters():
    differences = [0.2, -0.1, 0.4, 0.3, 0.1, 0.05, -0.15, 0.25]
    clusters = ["a", "a", "b", "c", "c", "d", "e", "f"]
    sums = [0.1, 0.4, 0.4, 0.05, -0.15, 0.25]
    drawn = [abs(sum(s * x for s, x in zip(signs, sums, strict=True))) for signs in product([1, -1], repeat=6)]
    exact = sum(value >= abs(sum(sums)) - 1e-9 for value in drawn) / len(drawn)
    found = compare(table([0.5 + each for each in differences], clusters), table([0.5] * 8, clusters))
    assert found.p == pytest.approx(exact, abs=0.03)


def test_better_is_above_zero_and_below_the_level():
    assert Comparison(0.1, 0.0, 0.2, 0.049, 9).is_better
    assert not Comparison(0.1, 0.0, 0.2, 0.05, 9).is_better
    assert not Comparison(-0.1, -0.2, 0.0, 0.001, 9).is_better


def test_a_steady_gain_is_better_its_reverse_and_equality_are_not():
    old, new = table([0.5] * 20), table([0.6 + number / 100 for number in range(20)])
    assert compare(new, old).is_better
    assert not compare(old, new).is_better
    assert compare(old, old) == Comparison(0.0, 0.0, 0.0, 1.0, 20)


@pytest.mark.parametrize(
    "other",
    [
        table([0.5] * 3),
        table([0.5] * 5),
        table([0.5] * 4).with_columns(query_id="r" + pl.col("query_id")),
        table([0.5] * 4, ["a", "a", "b", "b"]),
    ],
)
def test_other_queries_or_clusters_are_not_compared(other):
    with pytest.raises(UserError, match="validated on different queries"):
        compare(other, table([0.5] * 4))
