import polars as pl
import pytest

from arrange.report import tables

ROW = {"mean": 0.5, "low": 0.4, "high": 0.625, "spread": None, "queries": 7}
NONE = {"mean": None, "low": None, "high": None, "spread": None, "queries": 0}


def test_a_table_of_means_says_interval_and_spread():
    metrics = {"item": {"m": {**ROW, "spread": 0.0125}, "n": NONE}, "ntp": {"m": ROW, "n": ROW}}
    assert tables.measures_table(metrics, ["m", "n"]).splitlines() == [
        "| | m | n |",
        "|---|---|---|",
        "| item | 0.500 (0.400-0.625) ±0.013 | - |",
        "| ntp | 0.500 (0.400-0.625) | 0.500 (0.400-0.625) |",
    ]


def test_a_table_of_differences_says_sign_interval_and_p():
    schema = ["system", "measure", "difference", "low", "high", "p", "p_holm", "queries"]
    rows = [
        ("b", "n", None, None, None, None, None, 0),
        ("b", "m", -0.031, -0.05, -0.012, 0.002, 0.004, 9),
        ("a", "n", 0.0, -0.01, 0.01, 0.9, 1.0, 9),
        ("a", "m", 0.1, 0.05, 0.15, 0.0001, 0.0002, 9),
    ]
    assert tables.differences_table(pl.DataFrame(rows, schema, orient="row"), ["m", "n"]).splitlines() == [
        "| | m | n |",
        "|---|---|---|",
        "| b | -0.031 (-0.050 to -0.012), p 0.004 | - |",
        "| a | +0.100 (+0.050 to +0.150), p < 0.001 | +0.000 (-0.010 to +0.010), p 1.000 |",
    ]


def test_a_table_of_correlations():
    table = pl.DataFrame({"system": ["item", "all"], "checkpoints": [2, 9], "spearman": [None, -0.875]})
    assert tables.correlations_table(table).splitlines() == [
        "| | checkpoints | Spearman |",
        "|---|---|---|",
        "| item | 2 | - |",
        "| all | 9 | -0.88 |",
    ]


def test_groups_are_columns_where_there_are_several():
    schema = ["system", "grouping", "group", "mean", "low", "high", "queries"]
    rows = [
        ("item", "locale", "us", 0.5, 0.25, 0.75, 7),
        ("item", "locale", "jp", 0.25, 0.0, 0.5, 3),
        ("item", "length", "short", 0.5, 0.25, 0.75, 10),
    ]
    assert tables.groups_tables(pl.DataFrame(rows, schema, orient="row")) == {
        "locale": "| | jp (3) | us (7) |\n|---|---|---|\n| item | 0.250 (0.000-0.500) | 0.500 (0.250-0.750) |"
    }


def test_diagnostics_of_a_ranker_are_a_row():
    values = {"queries": 8, "proven": 1.0, "beam_recall": None, "outside": 0.25, "invalid_share": 0, "invalid_mass": 0}
    assert tables.diagnostics_table({"a": values}).splitlines()[2] == "| a | - | 1.000 | 0.250 | 0.000 | 0.000 |"


@pytest.mark.parametrize(("name", "better"), [("nDCG@10", "higher"), ("CVR", "lower"), ("prior", "-")])
def test_definitions_say_which_direction_is_better(name, better):
    row = tables.definitions_table([name]).splitlines()[2].split(" | ")
    assert (row[0], row[-1]) == (f"| {name}", f"{better} |")
    assert len(row[1]) > 20
