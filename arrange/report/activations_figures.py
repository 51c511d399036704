"""Pictures of searches: functions and their slopes, gains over steps, ancestors, the map of families, portfolios."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
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
    """What the portfolio's members added in sum by the steps spent, a line per search.

    Each history is the table `generations` of `search.export.tables`.
    """
    figure, axes = plt.subplots(figsize=(6, 3.5))
    for name, history in histories.items():
        axes.step(history["member_steps"] / 1e6, history["gain"], where="post", label=name)
    axes.axhline(0, color="grey", linewidth=0.8)  # GELU alone
    axes.set(xlabel="million steps of training, all networks", ylabel="gain of the portfolio so far")
    axes.legend()
    axes.grid(alpha=0.3)
    save(figure, path)


def plot_map(families: pl.DataFrame, path: Path) -> None:
    """A heat map of mean log-ratios, activations as rows (the best mean first) and families as columns.

    `families` is the table of `transfer.table.compare` by family. Blue is better than GELU, red is worse.
    """
    wide = families.pivot("group", index="activation", values="log_ratio", maintain_order=True)
    columns = [name for name in wide.columns if name != "activation"]
    wide = wide.sort(pl.mean_horizontal(columns), "activation")
    values = wide.select(columns).to_numpy()
    figure, axes = plt.subplots(figsize=(1.1 * len(columns) + 2.5, 0.3 * len(wide) + 1.2))
    image = axes.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        axes.text(column, row, f"{value:+.2f}", ha="center", va="center", fontsize=7)
    axes.set_xticks(range(len(columns)), columns, fontsize=8)
    axes.set_yticks(range(len(wide)), wide["activation"].to_list(), fontsize=8)
    figure.colorbar(image, ax=axes, label="log(error / GELU's)")
    save(figure, path)


def plot_growth(growth: pl.DataFrame, path: Path, control: str) -> None:
    """The log-ratio to GELU over the size of each portfolio, a picture per group; the control is dashed.

    `growth` is a table of `transfer.experiment.growth`.
    """
    groups = growth["group"].unique(maintain_order=True).to_list()
    figure, axes = plt.subplots(1, len(groups), figsize=(3.6 * len(groups), 3), squeeze=False)
    for axis, group in zip(axes.flat, groups, strict=True):
        for (name,), line in growth.filter(group=group).group_by("portfolio", maintain_order=True):
            style = {"color": "black", "linestyle": "--"} if name == control else {}
            axis.plot(line["size"], line["log_ratio"], marker="o", markersize=3, label=name, **style)
        axis.axhline(0, color="grey", linewidth=0.8)
        axis.set_title(group, fontsize=9)
        axis.set_xlabel("networks, each of another member or seed", fontsize=8)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.3)
    axes.flat[0].set_ylabel("log(error / one GELU's)", fontsize=8)
    axes.flat[0].legend(fontsize=7)
    save(figure, path)


def plot_picks(picks: pl.DataFrame, path: Path) -> None:
    """How often each member is picked in each family, as bars of shares, a picture per portfolio.

    `picks` is a table of `transfer.experiment.what_is_picked`.
    """
    names = picks["portfolio"].unique(maintain_order=True).to_list()
    figure, axes = plt.subplots(1, len(names), figsize=(4 * len(names), 3), squeeze=False, sharey=True)
    for axis, name in zip(axes.flat, names, strict=True):
        of_portfolio = picks.filter(portfolio=name)
        families = of_portfolio["family"].unique(maintain_order=True).to_list()
        left = np.zeros(len(families))
        for (member,), bars in of_portfolio.group_by("activation", maintain_order=True):
            shares = dict(bars.select("family", "share").iter_rows())
            widths = np.array([shares.get(family, 0.0) for family in families])
            axis.barh(families, widths, left=left, label=member)
            left += widths
        axis.set_title(name, fontsize=9)
        axis.legend(fontsize=7)
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
