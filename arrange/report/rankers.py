"""Results as tables and pictures: measures of several systems, learning curves, maps of a grid, a trie's shape."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import polars as pl

from arrange.files import replacing
from arrange.formats import interval, markdown, p_value

Metrics = Mapping[str, Mapping[str, Mapping[str, float]]]  # system -> measure -> mean, low, high


def markdown_table(metrics: Metrics, measures: Sequence[str]) -> str:
    """Systems as rows and measures as columns, in Markdown; see `cell`."""
    rows = ([system, *(cell(row[name]) for name in measures)] for system, row in metrics.items())
    return markdown(["", *measures], rows)


def cell(value: Mapping[str, float]) -> str:
    """`0.512 (0.490-0.534)`, with ` ±0.012` for a spread over seeds, or a dash where no query has the measure.

    >>> cell({"mean": -0.096, "low": -0.149, "high": -0.042})
    '-0.096 (-0.149 to -0.042)'
    """
    if value["mean"] is None:
        return "-"
    spread = value.get("spread")
    to = "-" if value["low"] >= 0 else " to "
    interval = f"{value['mean']:.3f} ({value['low']:.3f}{to}{value['high']:.3f})"
    return interval if spread is None else f"{interval} ±{spread:.3f}"


def differences_table(differences: pl.DataFrame, measures: Sequence[str]) -> str:
    """Systems as rows, their differences to the reference in Markdown: `+0.031 (+0.012 to +0.050), p 0.004`.

    `differences` is the table of `statistics.differences`; p is that after Holm. A dash: no query has both.
    """
    lines = []
    for (system,), rows in differences.group_by("system", maintain_order=True):
        values = {row["measure"]: row for row in rows.rows(named=True)}
        lines.append([system, *(_difference(values[name]) for name in measures)])
    return markdown(["", *measures], lines)


def _difference(value: Mapping[str, float]) -> str:
    if value["difference"] is None:
        return "-"
    return f"{interval(value['difference'], value['low'], value['high'])}, p {p_value(value['p_holm'])}"


def correlations_table(correlations: pl.DataFrame) -> str:
    """The table of `statistics.correlations` in Markdown."""
    rows = correlations.select("system", "checkpoints", "spearman").rows()
    shown = ([system, str(count), "-" if value is None else f"{value:+.2f}"] for system, count, value in rows)
    return markdown(["", "checkpoints", "Spearman"], shown)


def plot_measure(metrics: Metrics, measure: str, path: Path) -> None:
    """One dot with its 95% interval per system."""
    systems = list(metrics)[::-1]
    means = [metrics[system][measure]["mean"] for system in systems]
    errors = [
        [abs(metrics[system][measure][end] - mean) for system, mean in zip(systems, means, strict=True)]
        for end in ("low", "high")
    ]
    figure, axes = plt.subplots(figsize=(6, 0.5 * len(systems) + 1))
    axes.errorbar(means, systems, xerr=errors, fmt="o", capsize=3)
    axes.set_xlabel(f"{measure}, mean and 95% interval")
    axes.grid(axis="x", alpha=0.3)
    save(figure, path)


def plot_curves(histories: Mapping[str, pl.DataFrame], path: Path) -> None:
    """Training loss (lines) and validation loss (dots) by step, one colour per system.

    Training losses differ in what they sum; the validation loss is the same for all (`rank.common_loss`).
    """
    figure, axes = plt.subplots(figsize=(6, 3.5))
    for number, (system, history) in enumerate(histories.items()):
        for column, style in (("loss", "-"), ("validation_loss", "o")):
            if column not in history.columns:  # a training that was not validated on the way
                continue
            points = history.select("step", column).drop_nulls()
            label = system if column == "loss" else None  # the dots have the lines' colours
            axes.plot(points["step"], points[column], style, color=f"C{number}", label=label)
    axes.set(xlabel="step", ylabel="loss, nats; dots: validation (item, alpha 1)")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2)  # below: curves take all the room
    save(figure, path)


def plot_correlation(histories: Mapping[str, pl.DataFrame], metric: str, path: Path) -> None:
    """Validation loss against a ranking metric, one dot per checkpoint and one colour per system."""
    figure, axes = plt.subplots(figsize=(5, 3.5))
    for system, history in histories.items():
        if "validation_loss" not in history.columns:
            continue
        points = history.select("validation_loss", metric).drop_nulls()
        axes.plot(points["validation_loss"], points[metric], "o", label=system)
    axes.set(xlabel="validation loss, nats", ylabel=metric)
    axes.legend()
    save(figure, path)


def plot_map(rows: Sequence[Mapping[str, float]], x: str, y: str, measure: str, path: Path) -> None:
    """A measure over the grid of two parameters, as colours and numbers; rows of one cell are averaged.

    Each row has the two parameters and the measure; infinity is a value as others are. Cells without a row
    stay white.
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
    """Write a figure as PNG whose bytes depend on nothing but the figure."""
    with replacing(path) as part:
        figure.savefig(part, format="png", dpi=120, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)
