"""Which selector picks the better ranker, on tables made up."""

import polars as pl
import pytest

from arrange.evaluation.selection import iso_nll_pairs, selectors

CANDIDATES = pl.DataFrame(
    [
        ("item", 1, 10.0, 0.50, 0.40),
        ("item", 2, 11.0, 0.60, 0.45),  # ranks better than seed 1, with a higher nll
        ("pl", 1, 14.0, 0.70, 0.55),
        ("pl", 2, 13.0, 0.65, 0.55),  # the same score as seed 1
    ],
    ["system", "seed", "nll", "quality", "score"],
    orient="row",
)


def found(candidates):
    return {(row["selector"], row["among"]): row for row in selectors(candidates).rows(named=True)}


def test_selectors_by_hand():
    """Within a loss one pair has two scores. Of four pairs of two losses nll is wrong in all, and loses every gain."""
    rows = found(CANDIDATES)
    assert [rows[name, "one loss"]["right"] for name in ("nll", "nDCG@10", "both")] == [0, 1, 0.5]
    assert rows["nll", "one loss"]["lost"] == pytest.approx(0.05)
    assert rows["both", "one loss"]["lost"] == pytest.approx(0.025)  # the two ranks are tied
    across = rows["nll", "two losses"]
    assert (across["pairs"], across["right"], across["lost"]) == (4, 0, pytest.approx((0.15 + 0.15 + 0.1 + 0.1) / 4))
    assert (rows["nDCG@10", "two losses"]["right"], rows["nDCG@10", "two losses"]["lost"]) == (1, 0)
    assert {row["picked"]: row["score"] for row in rows.values() if row["selector"] == "nll"} == {"item-1": 0.4}
    assert {row["picked"]: row["score"] for row in rows.values() if row["selector"] == "nDCG@10"} == {"pl-1": 0.55}


def test_the_order_of_rows_decides_nothing_and_a_ranker_without_validation_is_left_out():
    unvalidated = pl.DataFrame([("ntp", 1, None, None, 0.9)], CANDIDATES.schema, orient="row")
    assert selectors(pl.concat([unvalidated, CANDIDATES[::-1]])).equals(selectors(CANDIDATES))


def test_one_candidate_has_no_pair_and_none_no_pick():
    one = found(CANDIDATES.head(1))["nll", "one loss"]
    assert (one["pairs"], one["right"], one["picked"]) == (0, None, "item-1")
    assert selectors(CANDIDATES.clear())["picked"].null_count() == 6


def test_pairs_of_equal_nll_are_of_two_losses_and_the_farthest_apart_come_first():
    checkpoints = pl.DataFrame(
        [
            ("item", 1, 10, 100.0, 0.3),
            ("item", 1, 20, 100.2, 0.4),  # like the first, but of the same loss
            ("pl", 1, 10, 101.0, 0.7),  # 1% of the smaller one is still equal
            ("pl", 1, 20, 101.1, 0.9),  # of the second alone
            ("ntp", 1, 10, None, 0.1),
        ],
        ["system", "seed", "step", "nll", "quality"],
        orient="row",
    )
    pairs = iso_nll_pairs(checkpoints)
    assert pairs.select("step", "step_right", "apart").rows() == [
        (20, 20, pytest.approx(0.5)),
        (10, 10, pytest.approx(0.4)),
        (20, 10, pytest.approx(0.3)),
    ]
    assert iso_nll_pairs(checkpoints, tolerance=0.0).is_empty()
