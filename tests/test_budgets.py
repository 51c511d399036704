"""The page docs/budgets.md: it has what the committed results say; its tables, worked by hand on four families."""

from math import e

import polars as pl
import pytest

from arrange.activations.evaluation import REFERENCE
from arrange.activations.fitness.evaluator import evaluator
from docs import budgets
from settings import params

FAMILIES = ("polynomials", "harmonics", "chirp", "rational")


def test_the_page_is_made_from_the_committed_results():
    text = budgets.PAGE.read_text()
    assert budgets.page(text, pl.read_csv(budgets.RESULTS / "budgets.csv")) == text


def test_three_groups_have_all_families_with_as_many_problems_of_each():
    results = pl.read_csv(budgets.RESULTS / "budgets.csv").filter(activation="gelu", steps=250)
    counts = results.group_by("group", "family").len()
    assert counts["len"].unique().to_list() == [budgets.PER_FAMILY]
    by_group = {group: {*families} for group, families in counts.group_by("group").agg("family").iter_rows()}
    rungs = params.read().fitness.rungs
    assert by_group.pop("held-out") == {*rungs.test.families}
    assert by_group.pop("the paper's") == {*budgets.PAPER}
    assert by_group == {"others searched": {*rungs.validate.families} - {*budgets.PAPER}}


def test_an_activation_is_measured_as_in_the_sandbox_of_a_search():
    settings = params.read()
    measured = budgets.measure_one(settings.fitness, 2, "test", "gelu")
    with evaluator(budgets.budgeted(settings.fitness, 2, "test"), settings.sandbox, budgets.SEED) as evaluate:
        (evaluation,) = evaluate([REFERENCE], "test")
    assert measured["problem"].to_list() == [one.problem for one in evaluation.measurements]
    assert measured["ood"].to_list() == pytest.approx([one.ood for one in evaluation.measurements], rel=1e-5)


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
    assert lines[2:] == ["| c | -0.50 | +0.90 |", "| a | +1.00 | +0.00 |", "| b | +0.50 | +1.25 |"]  # the best first


def test_errors_are_arithmetic_means(monkeypatch):
    monkeypatch.setattr(budgets, "STEPS", (250,))
    lines = budgets.errors_table(measured(ERRORS)).splitlines()
    assert lines[2:4] == ["| c | 0.684 | 3.52 |", "| gelu | 1 | 1 |"]  # (1 / e + 1) / 2, (1 + e^1.8) / 2


def test_what_carries_over_is_told_for_each_other_family(monkeypatch):
    """On the two known families the order from the best is c, b, a. Chirp has a, c, b; rational has a, b, c."""
    monkeypatch.setattr(budgets, "STEPS", (250,))
    lines = budgets.carried_table(measured(ERRORS)).splitlines()
    assert lines[2:] == ["| chirp | -0.50 |", "| rational | -1.00 |"]
