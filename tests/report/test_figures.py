from math import inf, nan
from pathlib import Path

import matplotlib.image
import numpy as np
import polars as pl
import pytest

from arrange.report import figures

ROW = {"mean": 0.5, "low": 0.4, "high": 0.625, "spread": None, "queries": 7}
HISTORY = pl.DataFrame(
    {"step": [1, 2, 3, 4], "loss": [4.0, 3.0, 2.0, 1.0], "validation_loss": [None, 3.5, None, 2.5]},
).with_columns(pl.Series("nDCG@10", [None, 0.2, None, 0.4]))
GRID = [
    {"alpha": alpha, "beta": beta, "m": alpha + (0 if beta == inf else beta)}
    for alpha in (0.0, 1.0)
    for beta in (1.0, inf)
]


def test_a_map_has_the_mean_of_each_cell_in_the_order_of_the_values(monkeypatch, tmp_path):
    """Three cells of a 2 x 2 grid, one of them with two rows; infinity is the last."""
    drawn = []
    monkeypatch.setattr(figures, "save", lambda figure, path: drawn.append(figure))
    rows = [
        {"alpha": inf, "beta": 0.5, "m": 0.2},
        {"alpha": 1.0, "beta": 2.0, "m": 0.4},
        {"alpha": 1.0, "beta": 0.5, "m": 0.1},
        {"alpha": 1.0, "beta": 0.5, "m": 0.3},
    ]
    figures.plot_map(rows, "alpha", "beta", "m", tmp_path / "map.png")
    figures.plt.close(drawn[0])
    axes = drawn[0].axes[0]
    np.testing.assert_allclose(axes.images[0].get_array().filled(nan), [[0.2, 0.2], [0.4, nan]])
    assert {text.get_position(): text.get_text() for text in axes.texts} == {
        (0, 0): "0.200",
        (1, 0): "0.200",
        (0, 1): "0.400",
    }
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "inf"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0.5", "2"]
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title()) == ("alpha", "beta", "m")


def test_systems_of_one_kind_have_one_colour_and_the_first_is_on_top(monkeypatch, tmp_path):
    drawn = []
    monkeypatch.setattr(figures, "save", lambda figure, path: drawn.append(figure))
    metrics = {name: {"m": ROW | {"mean": mean}} for name, mean in {"a": 0.5, "b": 0.55, "c": 0.45, "d": None}.items()}
    figures.plot_measure(
        metrics, "m", tmp_path / "m.png", {"a": "ranker", "b": "control", "c": "ranker", "d": "control"}
    )
    figures.plt.close(drawn[0])
    axes = drawn[0].axes[0]
    handles, labels = axes.get_legend_handles_labels()
    dots = {kind: bars[0].get_xydata().tolist() for kind, bars in zip(labels, handles, strict=True)}
    assert dots == {"ranker": [[0.5, 4], [0.45, 2]], "control": [[0.55, 3]]}
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b", "c", "d"]


def dots(*rows):
    return pl.DataFrame(rows, {"system": pl.String, "x": pl.Float64, "y": pl.Float64}, orient="row")


PANELS = [
    figures.Panel("all", ("x", "y"), dots(("a", 1, 2), ("b", 3, 4), ("a", 5, None)), kept=dots(("b", 3, 4))),
    figures.Panel("b alone", ("p", "q"), dots(("b", 6, 7), ("b", 8, 9))),
]


def test_a_system_has_one_look_in_all_panels_and_what_was_kept_a_rim(monkeypatch, tmp_path):
    drawn = []
    monkeypatch.setattr(figures, "save", lambda figure, path: drawn.append(figure))
    figures.plot_points([PANELS], tmp_path / "points.png")
    figures.plt.close(drawn[0])
    shown = {
        axes.get_title(): [
            (line.get_color(), line.get_marker(), line.get_markeredgecolor() == "black", line.get_xydata().tolist())
            for line in axes.lines
            if len(line.get_xydata())
        ]
        for axes in drawn[0].axes
    }
    assert shown == {
        "all": [("C0", "o", False, [[1, 2]]), ("C1", "s", False, [[3, 4]]), ("C1", "s", True, [[3, 4]])],
        "b alone": [("C1", "s", False, [[6, 7], [8, 9]])],
    }
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()] == ["a", "b"]
    assert [(axes.get_xlabel(), axes.get_ylabel()) for axes in drawn[0].axes] == [("x", "y"), ("p", "q")]


def test_rankers_that_were_not_validated_have_no_dot(monkeypatch, tmp_path):
    drawn = []
    monkeypatch.setattr(figures, "save", lambda figure, path: drawn.append(figure))
    figures.plot_correlation({"item": HISTORY, "ntp": HISTORY.drop("validation_loss")}, "nDCG@10", tmp_path / "c.png")
    figures.plt.close(drawn[0])
    assert [line.get_xydata().tolist() for line in drawn[0].axes[0].lines] == [[[3.5, 0.2], [2.5, 0.4]]]


@pytest.mark.parametrize(
    "plot",
    [
        lambda path: figures.plot_measure({"item": {"m": ROW}, "ntp": {"m": ROW}}, "m", path),
        lambda path: figures.plot_measure(
            {"item": {"m": ROW}, "ntp": {"m": ROW}}, "m", path, {"item": "x", "ntp": "y"}
        ),
        lambda path: figures.plot_curves({"item": HISTORY, "ntp": HISTORY}, path),
        lambda path: figures.plot_correlation({"item": HISTORY, "ntp": HISTORY}, "nDCG@10", path),
        lambda path: figures.plot_points([PANELS, PANELS], path),
        lambda path: figures.plot_branching([10.0, 2.0, 1.0], path),
        lambda path: figures.plot_map(GRID, "alpha", "beta", "m", path),
    ],
)
def test_pictures_are_the_same_bytes_each_time(plot, tmp_path: Path):
    for name in ("one.png", "two.png"):
        plot(tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert np.ptp(matplotlib.image.imread(tmp_path / "one.png")) > 0.5  # something is drawn
    assert not figures.plt.get_fignums()  # and closed
