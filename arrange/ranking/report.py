"""Results as a table and pictures: measures of several systems, learning curves, the shape of a trie."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import polars as pl

from arrange.files import replacing

Metrics = Mapping[str, Mapping[str, Mapping[str, float]]]  # system -> measure -> mean, low, high


def markdown_table(metrics: Metrics, measures: Sequence[str]) -> str:
    """Systems as rows and measures as columns, each cell `mean (low-high)`, in Markdown."""
    lines = ["| | " + " | ".join(measures) + " |", "|---" * (len(measures) + 1) + "|"]
    for system, row in metrics.items():
        cells = [cell(row[measure]) for measure in measures]
        lines.append(f"| {system} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def cell(value: Mapping[str, float]) -> str:
    """`0.512 (0.490-0.534)`, or a dash where no query has the measure."""
    if value["mean"] is None:
        return "-"
    return f"{value['mean']:.3f} ({value['low']:.3f}-{value['high']:.3f})"


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
    """Training and validation loss by step, one colour per system."""
    figure, axes = plt.subplots(figsize=(6, 3.5))
    for number, (system, history) in enumerate(histories.items()):
        for column, style in (("loss", "-"), ("validation_loss", "o")):
            points = history.select("step", column).drop_nulls()
            label = system if column == "loss" else f"{system}, validation: nearest document"
            axes.plot(points["step"], points[column], style, color=f"C{number}", label=label)
    axes.set(xlabel="step", ylabel="-log P(docID), nats")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2)  # below: curves take all the room
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
