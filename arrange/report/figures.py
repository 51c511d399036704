"""Pictures of rankers: a measure of all systems, learning curves, dots by system, maps of a grid, a trie's shape."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import polars as pl

from arrange.evaluation.statistics import Metrics
from arrange.files import replacing

MARKERS = "osD^vP*"  # seven, so that a marker and one of ten colours tell 70 systems apart


@dataclass(frozen=True, eq=False)
class Panel:
    """A panel of `plot_points`. dots: system and the columns x and y; those of `kept` are larger, with a black rim."""

    title: str
    labels: tuple[str, str]
    dots: pl.DataFrame
    kept: pl.DataFrame | None = None


def plot_measure(metrics: Metrics, measure: str, path: Path, kinds: Mapping[str, str] | None = None) -> None:
    """A dot with its 95% interval for each system; `kinds` says of which kind a system is, and a kind has a colour."""
    names = {system: (kinds or {}).get(system, "") for system in metrics}
    heights = {system: len(metrics) - place for place, system in enumerate(metrics)}
    figure, axes = plt.subplots(figsize=(6, 0.3 * len(metrics) + 1))
    for kind in dict.fromkeys(names.values()):
        shown = [system for system in metrics if names[system] == kind and metrics[system][measure]["mean"] is not None]
        rows = [metrics[system][measure] for system in shown]
        errors = [[abs(row[end] - row["mean"]) for row in rows] for end in ("low", "high")]
        means, places = [row["mean"] for row in rows], [heights[system] for system in shown]
        axes.errorbar(means, places, xerr=errors, fmt="o", capsize=3, label=kind)
    axes.set_yticks(list(heights.values()), list(heights))
    axes.set_xlabel(f"{measure}, mean and 95% interval")
    axes.grid(axis="x", alpha=0.3)
    if any(names.values()):
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.6 / len(metrics) - 0.1), ncols=3, fontsize=8)
    save(figure, path)


def plot_curves(histories: Mapping[str, pl.DataFrame], path: Path) -> None:
    """Training loss (lines) and validation loss (dots) by step, one colour per ranker.

    Training losses differ in what they sum. The validation loss is the same for all rankers: item, alpha 1.
    """
    figure, axes = plt.subplots(figsize=(6, 3.5))
    for number, (system, history) in enumerate(histories.items()):
        for column, style in (("loss", "-"), ("validation_loss", "o")):
            if column not in history.columns:  # the training was not validated on the way
                continue
            points = history.select("step", column).drop_nulls()
            label = system if column == "loss" else None  # the dots have the colours of the lines
            axes.plot(points["step"], points[column], style, color=f"C{number}", label=label)
    axes.set(xlabel="step", ylabel="loss, nats; dots: validation (item, alpha 1)")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2)  # below, because the curves take all the room
    save(figure, path)


def plot_correlation(histories: Mapping[str, pl.DataFrame], metric: str, path: Path) -> None:
    """Validation loss against a ranking metric, a dot per checkpoint, a colour and a marker per ranker."""
    points = pl.concat(
        history.select(pl.lit(system).alias("system"), "validation_loss", metric)
        if "validation_loss" in history.columns
        else pl.DataFrame(schema={"system": pl.String, "validation_loss": pl.Float64, metric: pl.Float64})
        for system, history in histories.items()
    )
    plot_points([[Panel("", ("validation loss, nats", metric), points)]], path)


def plot_points(rows: Sequence[Sequence[Panel]], path: Path) -> None:
    """A grid of panels: a colour and a marker for each system, the same in all panels. Nulls are no dots."""
    panels = list(chain(*rows))
    systems = dict.fromkeys(name for panel in panels for name in panel.dots["system"])
    looks: dict[str, dict[str, Any]] = {
        system: {"color": f"C{number % 10}", "marker": MARKERS[number % len(MARKERS)], "linestyle": ""}
        for number, system in enumerate(systems)
    }
    size = (1 + 3 * len(rows[0]), 0.6 + 2.8 * len(rows))
    figure, grid = plt.subplots(len(rows), len(rows[0]), figsize=size, squeeze=False, layout="constrained")
    for axes, panel in zip(grid.flat, panels, strict=True):
        for table, style in ((panel.dots, {"alpha": 0.6}), (panel.kept, {"markeredgecolor": "black", "markersize": 9})):
            if table is None:
                continue
            for system, look in looks.items():
                axes.plot(*table.filter(system=system).drop_nulls().drop("system"), **look | style)
        axes.set(title=panel.title, xlabel=panel.labels[0], ylabel=panel.labels[1])
        axes.grid(alpha=0.3)
    figure.legend(
        handles=[plt.Line2D([], [], label=system, **look) for system, look in looks.items()],
        loc="outside lower center",
        ncols=2 * len(rows[0]),
    )
    save(figure, path)


def plot_map(rows: Sequence[Mapping[str, float]], x: str, y: str, measure: str, path: Path) -> None:
    """A measure over the grid of two parameters, as colours and numbers. Rows of one cell are averaged.

    Each row has the two parameters and the measure. Infinity is a value like any other. Cells without a row stay white.
    """
    names = {name: sorted({row[name] for row in rows}) for name in (x, y)}
    means_YX = np.full((len(names[y]), len(names[x])), np.nan)
    for (value_y, value_x), part in pl.DataFrame(rows).group_by(y, x):
        means_YX[names[y].index(value_y), names[x].index(value_x)] = part[measure].mean()
    figure, axes = plt.subplots(figsize=(1.5 + 0.8 * len(names[x]), 1 + 0.6 * len(names[y])))
    axes.imshow(means_YX, origin="lower", aspect="auto", cmap="cividis")
    for (row, column), value in np.ndenumerate(means_YX):
        if np.isfinite(value):
            dark = value < (np.nanmin(means_YX) + np.nanmax(means_YX)) / 2
            axes.text(column, row, f"{value:.3f}", ha="center", va="center", color="white" if dark else "black")
    axes.set_xticks(range(len(names[x])), [f"{value:g}" for value in names[x]])
    axes.set_yticks(range(len(names[y])), [f"{value:g}" for value in names[y]])
    axes.set(xlabel=x, ylabel=y, title=measure)
    save(figure, path)


def plot_branching(branching_by_depth: Sequence[float], path: Path) -> None:
    """Mean number of children of the inner nodes, by depth."""
    figure, axes = plt.subplots(figsize=(6, 2.5))
    axes.bar(range(len(branching_by_depth)), branching_by_depth)
    axes.set(xlabel="depth in tokens", ylabel="mean children", yscale="log")
    save(figure, path)


def save(figure: plt.Figure, path: Path) -> None:
    """Write a figure as a PNG file whose bytes depend on the figure alone."""
    with replacing(path) as part:
        figure.savefig(part, format="png", dpi=120, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)
