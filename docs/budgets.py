"""The page docs/budgets.md, its tables and its pictures: python -m docs.budgets

Trains small networks with the functions of arXiv 2602.05688 and with well-known ones, on every family of problems, at
three budgets: 16 CPU minutes, two processes at once. The results are in docs/results/budgets.csv; with
`--again` the page is made from them, and nothing is trained.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import product
from math import inf
from pathlib import Path
from typing import Any, Literal

import polars as pl
import torch
from tqdm import tqdm

from arrange.activations.classical import CLASSICAL
from arrange.activations.evaluation import Admitted, Measurement
from arrange.activations.fitness.scoring import scores
from arrange.activations.fitness.training import fit
from arrange.activations.fitness.trial import draw_trial
from arrange.activations.mined import MINED
from arrange.activations.programs.admission import admit
from arrange.activations.settings import Fitness
from arrange.activations.transfer import table
from arrange.files import replacing
from arrange.formats import markdown
from arrange.report.activations_figures import plot_map
from docs.tables import with_table
from settings import params

PAGE = Path("docs/budgets.md")
RESULTS = Path("docs/results")
STEPS = (250, 1000, 3000)
KNOWN = ("relu", "gelu", "gelu_tanh", "silu", "tanh", "sin")
PAPER = ("polynomials", "harmonics", "feynman")  # families that the paper mined on
PER_FAMILY = 3
SEED = 303  # problems that no search and no other table here has


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--again", action="store_true", help="make the page from the results, train nothing")
    results = RESULTS / "budgets.csv"
    if not parser.parse_args().again:
        measured = measure(params.read().fitness)
        with replacing(results) as part:
            measured.write_csv(part, float_precision=6)
    measured = pl.read_csv(results)
    draw(measured)
    with replacing(PAGE) as part:
        part.write_text(page(PAGE.read_text(), measured))


def measure(fitness: Fitness) -> pl.DataFrame:
    """One row for each budget, activation and problem: steps, and the columns of `transfer.table.long`."""
    names = [*KNOWN, *MINED]
    jobs = [*product([fitness], STEPS[::-1], ("validate", "test"), names)]  # the long ones first
    with ProcessPoolExecutor(2, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        tables = list(tqdm(pool.map(measure_one, *zip(*jobs, strict=True)), total=len(jobs), unit="job"))
    return pl.concat(tables)


def budgeted(fitness: Fitness, steps: int, rung: str) -> Fitness:
    """The same with PER_FAMILY problems of each family of a rung, one seed, and these steps."""
    count = PER_FAMILY * len(fitness.rungs[rung].families)
    changed = replace(fitness.rungs[rung], problems=count, seeds=1, steps=steps)
    return replace(fitness, rungs=replace(fitness.rungs, **{rung: changed}))


def measure_one(fitness: Fitness, steps: int, rung: str, name: str) -> pl.DataFrame:
    """An activation on the problems of a rung's families."""
    activation = (CLASSICAL | MINED)[name]
    admitted = admit(activation, inf)
    trial = draw_trial(budgeted(fitness, steps, rung), rung, SEED)
    settings = {**trial.settings, "gain": admitted.gain, "pointwise": admitted.pointwise}
    measured: list[Measurement] = []
    for part in trial.parts:
        measured += scores(rung, trial.rung, part.problems, fit(activation, part.arrays, settings))
    groups: dict[str, Any] = {}
    for one in measured:
        groups.setdefault(group_of(rung, one.family), {}).setdefault(name, []).append(one)
    return table.long(groups).select(pl.lit(steps).alias("steps"), pl.all())


def group_of(rung: str, family: str) -> str:
    """Which of the three groups of families a family belongs to."""
    if rung == "test":
        return "held-out"
    return "the paper's" if family in PAPER else "others searched"


def compared(measured: pl.DataFrame, by: Literal["group", "family"]) -> pl.DataFrame:
    """`transfer.table.compare` with GELU at each budget: its columns and steps."""
    costs = dict.fromkeys(measured["activation"].unique(), Admitted(0.0, True, 1.0, ()))  # no table shows a cost
    return pl.concat(
        table.compare(of_budget, costs, by=by, seed=SEED).select(pl.lit(steps).alias("steps"), pl.all())
        for (steps,), of_budget in measured.sort("steps", maintain_order=True).group_by("steps", maintain_order=True)
    )


def draw(measured: pl.DataFrame) -> None:
    """A heat map, activation by family, for the smallest and the largest budget."""
    by_family = compared(measured, "family")
    for steps in (STEPS[0], STEPS[-1]):
        plot_map(by_family.filter(steps=steps).drop("steps"), RESULTS / f"budgets-{steps}.png")


def page(text: str, measured: pl.DataFrame) -> str:
    """The page with its three tables made anew."""
    parts = {"ratios": ratios_table(measured), "errors": errors_table(measured), "carried": carried_table(measured)}
    for name, part in parts.items():
        text = with_table(text, part, name, "docs/budgets.py")
    return text


def ratios_table(measured: pl.DataFrame) -> str:
    """The mean log-ratio to GELU of each activation, group of families and budget; bold: Holm's p below 0.05."""
    by_group = compared(measured, "group")
    groups = list(dict.fromkeys(measured["group"]))
    cells = {
        (row["activation"], row["group"], row["steps"]): f"**{row['log_ratio']:+.2f}**"
        if row["p_holm"] < 0.05
        else f"{row['log_ratio']:+.2f}"
        for row in by_group.iter_rows(named=True)
    }
    columns = [*product(groups, STEPS)]
    names = by_group.group_by("activation").agg(pl.col("log_ratio").mean()).sort("log_ratio")["activation"]
    rows = [[name, *(cells[name, *column] for column in columns)] for name in names]
    return markdown(["", *(f"{group}, {steps:,}" for group, steps in columns)], rows)


def errors_table(measured: pl.DataFrame) -> str:
    """The arithmetic mean of the errors out of distribution, which the paper shows."""
    means = {
        (name, steps, in_paper): mean
        for name, steps, in_paper, mean in measured.group_by("activation", "steps", pl.col("group") == "the paper's")
        .agg(pl.col("ood").mean())
        .iter_rows()
    }
    columns = [*product((True, False), STEPS)]
    names = sorted(measured["activation"].unique(), key=lambda name: means[name, STEPS[-1], True])
    rows = [[name, *(f"{means[name, steps, of]:.3g}" for of, steps in columns)] for name in names]
    whose = {True: "the paper's", False: "others'"}
    return markdown(["", *(f"{whose[of]}, {steps:,}" for of, steps in columns)], rows)


def carried_table(measured: pl.DataFrame) -> str:
    """Spearman's correlation over activations: the mean log-ratio on the paper's families with that on another one."""
    by_family = compared(measured, "family").rename({"group": "family"})
    mean = pl.col("log_ratio").mean()
    known = by_family.filter(pl.col("family").is_in(PAPER)).group_by("steps", "activation").agg(known=mean)
    both = by_family.filter(~pl.col("family").is_in(PAPER)).join(known, on=["steps", "activation"])
    wide = (
        both.group_by("family", "steps", maintain_order=True)
        .agg(spearman=pl.corr("known", "log_ratio", method="spearman"))
        .pivot("steps", index="family", values="spearman")
    )
    rows = [[family, *(f"{value:+.2f}" for value in values)] for family, *values in wide.iter_rows()]
    return markdown(["family", *(f"{steps:,} steps" for steps in STEPS)], rows)


if __name__ == "__main__":
    main()
