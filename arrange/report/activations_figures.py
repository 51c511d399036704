"""Pictures of a search: found functions and their slopes, fitness over steps, the winner's family, extrapolation."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import polars as pl
import torch

from arrange.activations.evaluation import Activation
from arrange.report.figures import save


def plot_functions(functions: Mapping[str, Activation], path: Path, half_width: float = 5) -> None:
    """Each function (a line) and its derivative (dashed) around 0, a small picture each."""
    columns = min(4, len(functions))
    rows = -(-len(functions) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(2.6 * columns, 2.2 * rows), squeeze=False, sharex=True)
    for axis in axes.flat[len(functions) :]:
        axis.axis("off")
    for axis, (name, function) in zip(axes.flat, functions.items(), strict=False):
        x = torch.linspace(-half_width, half_width, 401, dtype=torch.float64, requires_grad=True)
        y = function(x)
        (slope,) = torch.autograd.grad(y.sum(), x)
        axis.plot(x.detach(), y.detach())
        axis.plot(x.detach(), slope, "--", linewidth=0.8)
        axis.set_title(name, fontsize=9)
        axis.grid(alpha=0.3)
    save(figure, path)


def plot_progress(histories: Mapping[str, pl.DataFrame], path: Path) -> None:
    """The best confirmed fitness so far by the steps spent, a line per search.

    Each history is the table `generations` of `search.export.tables`.
    """
    figure, axes = plt.subplots(figsize=(6, 3.5))
    for name, history in histories.items():
        points = history.select("member_steps", "confirmed").drop_nulls()
        axes.step(points["member_steps"] / 1e6, points["confirmed"], where="post", label=name)
    axes.axhline(0, color="grey", linewidth=0.8)  # the fitness of the reference
    axes.set(xlabel="million steps of training, all networks", ylabel="best confirmed fitness")
    axes.legend()
    axes.grid(alpha=0.3)
    save(figure, path)


def plot_family(family: pl.DataFrame, path: Path) -> None:
    """The ancestors of a program, the oldest on the left, a line from each parent to its child.

    `family` is a table of `search.export.ancestors`. The number is the confirmed fitness.
    """
    ages = family["generation"].unique().sort().to_list()
    places = {}
    for (generation,), born in family.sort("generation", "id").group_by("generation", maintain_order=True):
        for height, name in enumerate(born["id"]):
            places[name] = (ages.index(generation), height - (len(born) - 1) / 2)
    widest = max(family["generation"].value_counts()["count"])
    figure, axes = plt.subplots(figsize=(max(4, 1.7 * len(ages)), max(1.5, 0.9 * widest)))
    for row in family.rows(named=True):
        x, y = places[row["id"]]
        for parent in row["parents"]:
            axes.plot([places[parent][0], x], [places[parent][1], y], color="grey", linewidth=0.8, zorder=1)
        text = f"{row['id']}: {row['mutator']}"
        text += "" if row["confirmed"] is None else f"\n{row['confirmed']:+.3f}"
        box = {"boxstyle": "round", "facecolor": "white", "edgecolor": "C0"}
        axes.text(x, y, text, ha="center", va="center", fontsize=7, bbox=box, zorder=2)
    axes.set(xlim=(-0.6, len(ages) - 0.4), ylim=(-widest / 2, widest / 2), yticks=[], xlabel="generation")
    axes.set_xticks(range(len(ages)), [str(age) for age in ages])
    save(figure, path)


def plot_extrapolation(lines: pl.DataFrame, path: Path) -> None:
    """Trained networks along a line through each problem: inside the training box (shaded) and beyond.

    `lines` has problem, activation, x (the training box is -1 to 1), truth and prediction (a mean over seeds).
    """
    problems: Sequence[str] = lines["problem"].unique(maintain_order=True).to_list()
    figure, axes = plt.subplots(1, len(problems), figsize=(3.2 * len(problems), 2.8), squeeze=False)
    for axis, problem in zip(axes.flat, problems, strict=True):
        axis.axvspan(-1, 1, color="grey", alpha=0.12)
        of_problem = lines.filter(pl.col("problem") == problem)
        truth = of_problem.unique("x").sort("x")
        axis.plot(truth["x"], truth["truth"], color="black", linewidth=1.5, label="truth")
        for (activation,), line in of_problem.group_by("activation", maintain_order=True):
            axis.plot(line["x"], line["prediction"], linewidth=1, label=activation)
        axis.set_title(problem, fontsize=9)
        axis.grid(alpha=0.3)
    axes.flat[0].legend(fontsize=7)
    save(figure, path)
