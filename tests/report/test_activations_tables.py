"""Searches and transfer as tables: exact tables of small results written by hand, and Student's test by hand."""

import polars as pl
import pytest
from small_results import CANDIDATES, GENERATIONS

from arrange.report import activations_tables as tables
from arrange.report.activations_tables import arms_table, difference, paired


def rows(table):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def test_a_search_is_a_row_with_its_false_positives_among_the_retested():
    """What the search began with does not count, and a re-test without a score is a false positive."""
    table = rows(tables.searches_table({"mine": CANDIDATES}, {"mine": GENERATIONS}))
    assert table[0][5] == "false positives of re-tests"
    assert table[2] == ["mine", "5", "4", "unusable 1, cost 1", "1.75", "1 of 2", "3 (+0.250)"]
    failed = CANDIDATES.with_columns(confirmed=pl.lit(None, pl.Float64))
    assert rows(tables.searches_table({"mine": failed}, {"mine": GENERATIONS}))[2][5] == "2 of 2"


def test_reasons_come_by_their_number():
    counted = pl.DataFrame({"reason": ["cost", "", "screened", "screened"]})
    assert tables.reasons(counted) == "screened 2, cost 1"
    assert tables.reasons(counted.filter(reason="")) == "-"


def test_finalists_show_their_expression_and_their_place():
    table = pl.DataFrame(
        {
            "name": ["a-1", "b-2"],
            "search": ["a", "b"],
            "source": [
                "def activation(x):\n    return torch.tanh(x)\n",
                "def activation(x):\n    y = x\n    return y | x\n",
            ],
            "flops": [10.0, 1.0],
            "fitness": [0.25, 0.1],
            "confirmed": [0.125, None],
            "validated": [0.0625, -0.5],
            "place": [1, None],
            "added": [0.0625, None],
        }
    )
    assert rows(tables.finalists_table(table.head(1)))[2] == [
        *("a-1", "a", "`torch.tanh(x)`", "10", "+0.250", "+0.125", "+0.062", "1 (+0.062)")
    ]
    assert "`y = x; return y \\| x`" in tables.finalists_table(table)
    assert tables.expression("def activation(x): return torch.tanh(x)") == "torch.tanh(x)"
    assert (
        tables.expression("def activation(x: Tensor) -> Tensor:\n    'Words.'\n    return 2.50*x # half") == "2.5 * x"
    )
    assert " - |" in tables.finalists_table(table)


def test_comparisons_have_intervals_p_and_a_mark_for_batch_statistics():
    compared = pl.DataFrame(
        {
            **{
                "activation": ["sin", "turbulent"],
                "group": ["digits"] * 2,
                "problems": [9, 9],
                "clusters": [9, 4],
                "flops": [10.0, 50.0],
            },
            **{"pointwise": [True, False], "log_ratio": [-0.1, 0.2], "low": [-0.2, 0.1], "high": [-0.05, 0.3]},
            **{"worst": [0.5, 0.75], "p_holm": [0.0004, 0.25]},
            **{"error": [0.53, float("inf")], "reference_error": [0.74, 0.74]},
        }
    )
    assert rows(tables.compared_table(compared))[2:] == [
        ["sin", "-0.100 (-0.200 to -0.050)", "< 0.001", "0.53 (0.74)", "+0.50", "9", "10"],
        ["turbulent †", "+0.200 (+0.100 to +0.300)", "0.250", "inf (0.74)", "+0.75", "9 (4)", "50"],
    ]


def test_portfolios_stand_against_every_rival_but_themselves():
    compared = pl.DataFrame(
        {
            **{"activation": ["a-1", "b-2", "a-1"], "rival": ["gelu", "gelu", "b-2"], "p_holm": [0.5, 0.0001, 1.0]},
            **{"log_ratio": [-0.1, 0.2, 0.0], "low": [-0.2, 0.1, -0.5], "high": [0.05, 0.3, 0.5]},
        }
    )
    assert rows(tables.rivals_table(compared)) == [
        ["", "against gelu", "against b-2"],
        ["---"] * 3,
        ["a-1", "-0.100 (-0.200 to +0.050), p 0.500", "+0.000 (-0.500 to +0.500), p 1.000"],
        ["b-2", "+0.200 (+0.100 to +0.300), p < 0.001", "-"],
    ]


def test_families_weigh_the_same_and_the_best_comes_first():
    families = pl.DataFrame(
        {
            "group": ["radial", "radial", "chirp"],
            "activation": ["sin", "relu", "relu"],
            "log_ratio": [-0.1, 0.2, -0.6],
        }
    )
    assert rows(tables.families_table(families)) == [
        ["activation", "mean of families", "radial", "chirp"],
        ["---"] * 4,
        ["relu", "-0.200", "+0.200", "-0.600"],
        ["sin", "-0.100", "-0.100", "-"],
    ]


SEARCHES = {
    **{"e-1": ("evolution", 1), "e-2": ("evolution", 2), "e-3": ("evolution", 3), "e-3 again": ("evolution", 3)},
    **{"r-1": ("random", 1), "r-3": ("random", 3), "r-4": ("random", 4)},
}
FINALISTS = pl.DataFrame(
    {
        "search": ["e-1", "e-1", "e-3", "e-3 again", "r-3", "r-4"],
        "added": [0.25, 0.25, 0.25, 0.75, 0.125, None],
    }
)


def pairs(*differences):
    return pl.DataFrame({"seed": range(len(differences)), "evolution": differences, "random": [0.0] * len(differences)})


def test_portfolios_meet_the_other_arms_of_their_seed_and_who_found_nothing_stands_at_0():
    assert paired(SEARCHES, FINALISTS).rows() == [(1, 0.5, 0.0), (3, 0.5, 0.125)]
    assert paired({"e-1": ("evolution", 1)}, FINALISTS).height == 0
    assert paired({"e-1": ("evolution", 1), "r-1": ("random", 1)}, FINALISTS.clear()).rows() == [(1, 0.0, 0.0)]


def test_the_interval_and_p_are_students():
    """1, 2, 3: mean 2, standard error 1 / sqrt 3, t = 2 sqrt 3; with two degrees p = 1 - t / sqrt(2 + t^2)."""
    found = difference(pairs(1.0, 2.0, 3.0))
    t = 2 * 3**0.5
    assert (found.mean, found.p) == (2.0, pytest.approx(1 - t / (2 + t**2) ** 0.5))
    assert (found.low, found.high) == (pytest.approx(2 - 4.302653 / 3**0.5), pytest.approx(2 + 4.302653 / 3**0.5))


@pytest.mark.filterwarnings("error")
def test_differences_that_are_all_the_same():
    assert difference(pairs(0.0, 0.0)).p == 1
    found = difference(pairs(0.5, 0.5))
    assert (found.mean, found.low, found.high, found.p) == (0.5, 0.5, 0.5, 0.0)


def test_the_table_has_a_row_for_each_seed_and_the_mean():
    """Differences 0.5 and 0.25: t = 3 with one degree, p = 1 - 2 atan(3) / pi."""
    table = arms_table(pl.DataFrame({"seed": [1, 2], "evolution": [0.5, 0.5], "random": [0.0, 0.25]}))
    assert [line.strip("| ").split(" | ") for line in table.splitlines()[2:]] == [
        ["1", "+0.500", "+0.000", "+0.500"],
        ["2", "+0.500", "+0.250", "+0.250"],
        ["mean", "+0.500", "+0.125", "+0.375 (-1.213 to +1.963), p 0.205"],
    ]
