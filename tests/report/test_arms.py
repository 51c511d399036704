"""Evolution against random search: pairs and Student's test by hand."""

import polars as pl
import pytest

from arrange.report.arms import arms_table, difference, paired

SEARCHES = {
    **{"e-1": ("evolution", 1), "e-2": ("evolution", 2), "e-3": ("evolution", 3), "e-3 again": ("evolution", 3)},
    **{"r-1": ("random", 1), "r-3": ("random", 3), "r-4": ("random", 4)},
}
FINALISTS = pl.DataFrame(
    {
        "search": ["e-1", "e-1", "e-3", "e-3 again", "r-3", "r-4"],
        "validated": [0.5, 0.25, 0.25, 0.75, 0.125, 9.0],
        "winner": [True, False, True, True, True, True],
    }
)


def pairs(*differences):
    return pl.DataFrame({"seed": range(len(differences)), "evolution": differences, "random": [0.0] * len(differences)})


def test_winners_meet_the_other_arms_of_their_seed_and_who_found_nothing_stands_at_0():
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
