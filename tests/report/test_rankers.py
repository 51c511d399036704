from math import inf, nan
from pathlib import Path

import matplotlib.image
import numpy as np
import polars as pl
import pytest

from arrange.report import rankers as report

ROW = {"mean": 0.5, "low": 0.4, "high": 0.625, "spread": None, "queries": 7}
NONE = {"mean": None, "low": None, "high": None, "spread": None, "queries": 0}
HISTORY = pl.DataFrame(
    {"step": [1, 2, 3, 4], "loss": [4.0, 3.0, 2.0, 1.0], "validation_loss": [None, 3.5, None, 2.5]},
).with_columns(pl.Series("nDCG@10", [None, 0.2, None, 0.4]))
GRID = [
    {"alpha": alpha, "beta": beta, "m": alpha + (0 if beta == inf else beta)}
    for alpha in (0.0, 1.0)
    for beta in (1.0, inf)
]


def test_a_table_of_means_says_interval_and_spread():
    metrics = {"item": {"m": {**ROW, "spread": 0.0125}, "n": NONE}, "ntp": {"m": ROW, "n": ROW}}
    assert report.markdown_table(metrics, ["m", "n"]).splitlines() == [
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
    assert report.differences_table(pl.DataFrame(rows, schema, orient="row"), ["m", "n"]).splitlines() == [
        "| | m | n |",
        "|---|---|---|",
        "| b | -0.031 (-0.050 to -0.012), p 0.004 | - |",
        "| a | +0.100 (+0.050 to +0.150), p < 0.001 | +0.000 (-0.010 to +0.010), p 1.000 |",
    ]


def test_a_table_of_correlations():
    table = pl.DataFrame({"system": ["item", "all"], "checkpoints": [2, 9], "spearman": [None, -0.875]})
    assert report.correlations_table(table).splitlines() == [
        "| | checkpoints | Spearman |",
        "|---|---|---|",
        "| item | 2 | - |",
        "| all | 9 | -0.88 |",
    ]


def test_a_map_has_the_mean_of_each_cell_in_the_order_of_the_values(monkeypatch, tmp_path):
    """Three cells of a 2 x 2 grid, one of them with two rows; infinity is the last."""
    figures = []
    monkeypatch.setattr(report, "save", lambda figure, path: figures.append(figure))
    rows = [
        {"alpha": inf, "beta": 0.5, "m": 0.2},
        {"alpha": 1.0, "beta": 2.0, "m": 0.4},
        {"alpha": 1.0, "beta": 0.5, "m": 0.1},
        {"alpha": 1.0, "beta": 0.5, "m": 0.3},
    ]
    report.plot_map(rows, "alpha", "beta", "m", tmp_path / "map.png")
    report.plt.close(figures[0])
    axes = figures[0].axes[0]
    np.testing.assert_allclose(axes.images[0].get_array().filled(nan), [[0.2, 0.2], [0.4, nan]])
    assert {text.get_position(): text.get_text() for text in axes.texts} == {
        (0, 0): "0.200",
        (1, 0): "0.200",
        (0, 1): "0.400",
    }
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "inf"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0.5", "2"]
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title()) == ("alpha", "beta", "m")


@pytest.mark.parametrize(
    "plot",
    [
        lambda path: report.plot_measure({"item": {"m": ROW}, "ntp": {"m": ROW}}, "m", path),
        lambda path: report.plot_curves({"item": HISTORY, "ntp": HISTORY}, path),
        lambda path: report.plot_correlation({"item": HISTORY, "ntp": HISTORY}, "nDCG@10", path),
        lambda path: report.plot_branching([10.0, 2.0, 1.0], path),
        lambda path: report.plot_map(GRID, "alpha", "beta", "m", path),
    ],
)
def test_pictures_are_the_same_bytes_each_time(plot, tmp_path: Path):
    for name in ("one.png", "two.png"):
        plot(tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert np.ptp(matplotlib.image.imread(tmp_path / "one.png")) > 0.5  # something is drawn
    assert not report.plt.get_fignums()  # and closed
