"""The page docs/budgets.md: it has what the committed results say; its tables, worked by hand on four families."""

from math import e

import polars as pl

from docs import budgets

FAMILIES = ("polynomials", "harmonics", "chirp", "rational")


def test_the_page_is_made_from_the_committed_results():
    text = budgets.PAGE.read_text()
    assert budgets.page(text, pl.read_csv(budgets.RESULTS / "budgets.csv")) == text


def test_the_three_groups_have_all_families():
    assert [budgets.group_of(*one) for one in (("validate", "feynman"), ("validate", "waves"), ("test", "chirp"))] == [
        "the paper's",
        "others searched",
        "held-out",
    ]


def measured(errors):
    """Errors out of distribution by activation, one for each of FAMILIES, one problem each, at one budget."""
    rows = [
        {"steps": 250, "activation": name, "family": family, "cluster": family, "problem": family, "seed": 0}
        | {"group": budgets.group_of("test" if family in ("chirp", "rational") else "validate", family)}
        | dict.fromkeys(("rate", "train", "valid"), 0.1)
        | {"ood": error}
        for name, of_name in errors.items()
        for family, error in zip(FAMILIES, of_name, strict=True)
    ]
    return pl.DataFrame(rows)


ERRORS = {"gelu": [1, 1, 1, 1], "a": [e, e, 1 / e, e], "b": [1, e, e, e**1.5], "c": [1 / e, 1, 1, e**1.8]}


def test_log_ratios_are_means_of_the_problems_of_a_group(monkeypatch):
    monkeypatch.setattr(budgets, "STEPS", (250,))
    lines = budgets.ratios_table(measured(ERRORS)).splitlines()
    assert lines[0] == "| | the paper's, 250 | held-out, 250 |"
    assert set(lines[2:]) == {"| c | -0.50 | +0.90 |", "| a | +1.00 | +0.00 |", "| b | +0.50 | +1.25 |"}
    assert lines[2].startswith("| c |")  # the best mean of the groups first


def test_errors_are_arithmetic_means(monkeypatch):
    monkeypatch.setattr(budgets, "STEPS", (250,))
    lines = budgets.errors_table(measured(ERRORS)).splitlines()
    assert lines[2:4] == ["| c | 0.684 | 3.52 |", "| gelu | 1 | 1 |"]  # (1 / e + 1) / 2, (1 + e^1.8) / 2


def test_what_carries_over_is_told_for_each_other_family(monkeypatch):
    """On the two known families the order from the best is c, b, a. Chirp has a, c, b; rational has a, b, c."""
    monkeypatch.setattr(budgets, "STEPS", (250,))
    lines = budgets.carried_table(measured(ERRORS)).splitlines()
    assert lines[2:] == ["| chirp | -0.50 |", "| rational | -1.00 |"]
