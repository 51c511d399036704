"""Searches and transfer as Markdown: exact tables of small results written by hand."""

import polars as pl

from arrange.report import activations as report

CANDIDATES = pl.DataFrame(
    {
        "place": [0, 1, 2, 3, 3, 4],
        "attempt": [0, 0, 0, 0, 1, 0],
        "mutator": ["seed", *["subtree"] * 5],
        "fitness": [0.1, 0.2, 0.1, None, -0.3, None],
        "reason": ["", "", "", "unusable", "", "cost"],
        "confirmed": [-0.1, 0.1, -0.2, None, None, None],
        "confirm_reason": ["", "", "", None, None, None],
        "member_steps": [500_000, 500_000, 500_000, 0, 250_000, 0],
        "canonical": list("abcdef"),
        "pointwise": [True, True, True, None, True, None],
        "gain": [1.0, 1.0, 1.0, None, 1.0, None],
        "curve": [[1.0, 2.0], [1.0, 3.0], [1.0, 4.0], None, [1.0, 5.0], None],
    }
)
GENERATIONS = pl.DataFrame({"generation": [0, 1], "confirmed": [None, 0.1]})


def rows(table):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def test_a_search_is_a_row_with_its_flukes_among_the_retested():
    table = rows(report.searches_table({"mine": CANDIDATES}, {"mine": GENERATIONS}))
    assert table[2] == ["mine", "5", "4", "unusable 1, cost 1", "1.75", "1 of 2", "+0.100"]


def test_a_function_is_a_fluke_once_and_a_known_one_never():
    """The seed again at another scale, and the fluke again, upside down."""
    again = CANDIDATES[[0, 2]].with_columns(
        pl.lit("subtree").alias("mutator"),
        pl.Series("canonical", ["2 * a", "-c"]),
        pl.Series("gain", [0.5, 1.0]),
        pl.Series("curve", [[2.0, 4.0], [-1.0, -4.0]]),
    )
    table = rows(report.searches_table({"mine": pl.concat([CANDIDATES, again])}, {"mine": GENERATIONS}))
    assert table[0][5] == "flukes of re-tested"
    assert table[2][5] == "1 of 2"


def test_a_retest_that_failed_is_a_fluke_and_no_best_is_a_dash():
    failed = CANDIDATES.with_columns(confirmed=pl.lit(None, pl.Float64))
    none = GENERATIONS.with_columns(confirmed=pl.lit(None, pl.Float64))
    assert rows(report.searches_table({"mine": failed}, {"mine": none}))[2][5:] == ["2 of 2", "-"]


def test_reasons_come_by_their_number():
    counted = pl.DataFrame({"reason": ["cost", "", "screened", "screened"]})
    assert report.reasons(counted) == "screened 2, cost 1"
    assert report.reasons(counted.filter(reason="")) == "-"


def test_finalists_show_their_expression_and_who_won():
    table = pl.DataFrame(
        {
            "name": ["a-1", "b-2"],
            "source": [
                "def activation(x):\n    return torch.tanh(x)\n",
                "def activation(x):\n    y = x\n    return y | x\n",
            ],
            "flops": [10.0, 1.0],
            "fitness": [0.25, 0.1],
            "confirmed": [0.125, None],
            "validated": [0.0625, -0.5],
            "winner": [True, False],
        }
    )
    assert rows(report.finalists_table(table.head(1)))[2] == [
        *("a-1 (winner)", "`torch.tanh(x)`", "10", "+0.250", "+0.125", "+0.062")
    ]
    assert "`y = x; return y \\| x`" in report.finalists_table(table)
    assert report.expression("def activation(x): return torch.tanh(x)") == "torch.tanh(x)"
    assert (
        report.expression("def activation(x: Tensor) -> Tensor:\n    'Words.'\n    return 2.50*x # half") == "2.5 * x"
    )
    assert " - |" in report.finalists_table(table)


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
        }
    )
    assert rows(report.compared_table(compared))[2:] == [
        ["sin", "-0.100 (-0.200 to -0.050)", "< 0.001", "+0.50", "9", "10"],
        ["turbulent †", "+0.200 (+0.100 to +0.300)", "0.250", "+0.75", "9 (4)", "50"],
    ]


def test_winners_stand_against_every_rival_but_themselves():
    compared = pl.DataFrame(
        {
            **{"activation": ["a-1", "b-2", "a-1"], "rival": ["gelu", "gelu", "b-2"], "p_holm": [0.5, 0.0001, 1.0]},
            **{"log_ratio": [-0.1, 0.2, 0.0], "low": [-0.2, 0.1, -0.5], "high": [0.05, 0.3, 0.5]},
        }
    )
    assert rows(report.winners_table(compared)) == [
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
    assert rows(report.families_table(families)) == [
        ["activation", "mean of families", "radial", "chirp"],
        ["---"] * 4,
        ["relu", "-0.200", "+0.200", "-0.600"],
        ["sin", "-0.100", "-0.100", "-"],
    ]
