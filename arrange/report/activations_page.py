"""The report on activation functions: the searches, what they found, and how it transferred.

Every function returns parts in Markdown. A function that draws puts its pictures into `folder`. `made` is the folder
with the outputs of the stages before. Where a table would be empty, a sentence says why.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from arrange.activations import load
from arrange.activations.classical import CLASSICAL
from arrange.activations.evaluation import Activation
from arrange.activations.search.export import ancestors
from arrange.activations.settings import Fitness, SearchEntry, Swap
from arrange.evaluation import statistics
from arrange.report import activations_figures as figures
from arrange.report import activations_tables as tables
from arrange.report.tables import differences_table, measures_table

REFERENCE = "gelu"
CURVES = 8  # functions whose curves are drawn, GELU included


def about(fitness: Fitness) -> str:
    """What a number of this page means."""
    rungs = fitness.rungs
    return ABOUT.format(
        searched=f"{rungs.search.problems} problems and {rungs.search.seeds} seeds",
        families=", ".join(rungs.search.families),
        confirmed=rungs.confirm.problems,
        validated=f"{rungs.validate.problems} more, with {rungs.validate.seeds} seeds and the best of "
        f"{len(rungs.validate.rates)} learning rates",
        stretch=fitness.ranges.stretch,
    )


ABOUT = """Small networks learn a function inside a box and are tested outside of it, up to {stretch:g} times as far
from its centre. The fitness of an activation is minus the mean of log(error / error with GELU) over problems, with
families weighted equally: above 0 is better than GELU, and 0.1 is an error 10% lower. A search measures on {searched}
({families}). Before a candidate becomes an elite, it is measured again on {confirmed} other problems. The best of each
search are measured on {validated}. Each time the functions are drawn anew, except for the equations of physics: these
come from one list, and where one comes again, its points and the first weights are new. The control, random search,
draws programs from the same grammar, independently, with the same budget."""


def searches(made: Path, entries: Mapping[str, SearchEntry], folder: Path) -> list[str]:
    """The searches, their finalists, the winner's ancestors."""
    candidates = {name: pl.read_parquet(made / "searches" / name / "candidates.parquet") for name in entries}
    generations = {name: pl.read_csv(made / "searches" / name / "generations.csv") for name in entries}
    finalists = pl.read_parquet(made / "found" / "finalists.parquet")
    figures.plot_progress(generations, folder / "progress.png")
    parts = [
        "### Searches",
        tables.searches_table(candidates, generations),
        SEARCHES,
        "![best confirmed fitness by steps](progress.png)",
        "### Finalists on fresh problems",
    ]
    if finalists.is_empty():
        return [*parts, "No table: no search found a function that passed its re-test.", *arms(entries, finalists)]
    winner = finalists.row(0, named=True)
    figures.plot_family(ancestors(candidates[winner["search"]], winner["id"]), folder / "family.png")
    figures.plot_functions(with_curves(made, finalists), folder / "functions.png")
    return [
        *parts,
        tables.finalists_table(finalists),
        "![functions and their derivatives](functions.png)",
        *arms(entries, finalists),
        f"### The ancestors of `{winner['name']}`\n\n![ancestors](family.png)",
    ]


SEARCHES = """Candidates are the places that a search filled. A candidate without a fitness failed an admission test,
was too similar to another, or had a hopeless fitness on the first rung (`screened`). A place that was tried again has
several attempts. A false positive is a function that beat GELU in the search and not in its re-test. Each function
counts once, and the functions that a search begins with don't count."""


def arms(entries: Mapping[str, SearchEntry], finalists: pl.DataFrame) -> list[str]:
    """Evolution against random search, over the seeds that both have."""
    pairs = tables.paired({name: (one.arm, one.seed) for name, one in entries.items()}, finalists)
    heading = "### Evolution against random search"
    if len(pairs) < 2:
        return [heading, f"No table: it takes two seeds that both arms have, and there are {len(pairs)}."]
    return [heading, tables.arms_table(pairs), ARMS]


ARMS = """The fitness of the winners in validation, seed by seed (0, the fitness of GELU, where a search found nothing).
The difference has Student's 95% interval and p over the seeds."""


def with_curves(made: Path, finalists: pl.DataFrame) -> Mapping[str, Activation]:
    """GELU and the best finalists."""
    best = {name: load(made / "found" / f"{name}.py") for name in finalists["name"].head(CURVES - 1)}
    return {REFERENCE: CLASSICAL[REFERENCE], **best}


def transferred(made: Path, folder: Path) -> list[str]:
    """Comparisons with GELU, group by group, and of the winners with GELU, ReLU and the control's winner."""
    by_group = pl.read_parquet(made / "transfer" / "by_group.parquet")
    parts = ["### Transfer", TRANSFER if len(by_group) else "No tables: nothing was transferred (transfer.to)."]
    for (group,), compared in by_group.group_by("group", maintain_order=True):
        parts.append(f"#### On {group}\n\n{tables.compared_table(compared)}")
        if group == "digits":
            parts.append(DIGITS)
        if group == "held-out":
            parts.append(tables.families_table(pl.read_parquet(made / "transfer" / "by_family.parquet")))
    winners = pl.read_parquet(made / "transfer" / "winners.parquet")
    if winners.is_empty():
        parts.append("#### The winners of the searches\n\nNo table: no winner of a search was transferred.")
    for (group,), compared in winners.group_by("group", maintain_order=True):
        parts.append(f"#### The winners of the searches, on {group}\n\n{tables.winners_table(compared)}")
    return [*parts, *extrapolation(made, folder)]


TRANSFER = """Mean of log(error / error with GELU): below 0 is better. The 95% interval is a studentised bootstrap over
problems, p is that of Wilcoxon's signed-rank test over problems after Holm. Problems of one data set or equation count
as one, by their mean: where the table says 20 (4), four means are tested, and p cannot be below 0.125. † uses
statistics of the batch, so it sees all shifted points at once."""
DIGITS = (
    """The shifts test the same trained networks. So interval and p hold for shifts like these, not for other data."""
)


def extrapolation(made: Path, folder: Path) -> list[str]:
    """Trained networks along lines that leave the training box."""
    lines = pl.read_parquet(made / "transfer" / "extrapolation.parquet")
    if lines.is_empty():
        return []
    figures.plot_extrapolation(lines, folder / "extrapolation.png")
    return ["#### Beyond the training box (shaded)\n\n![extrapolation](extrapolation.png)"]


def swapped(made: Path, swap: Swap, *, draws: int, seed: int) -> list[str]:
    """The ranker with each activation against GELU; `draws` and `seed` are those of `statistics`."""
    scores, heading = pl.read_parquet(made / "swapped.parquet"), "### In the ranker"
    if scores.is_empty():
        return [heading, "No table: no ranker was trained with another activation (swap.of)."]
    per_query = scores.select("system", "query_id", "nDCG@10")
    clusters = scores.select("query_id", "cluster").unique(maintain_order=True)
    resampled: dict[str, Any] = {"clusters": clusters, "draws": draws, "seed": seed}
    means = {
        str(system): {"nDCG@10": statistics.summary(of_system.drop("system"), **resampled).row(0, named=True)}
        for (system,), of_system in per_query.group_by("system", maintain_order=True)
    }
    differences = statistics.differences(per_query, REFERENCE, **resampled)
    return [
        heading,
        IN_RANKER.format(steps=swap.steps, data=swap.data),
        measures_table(means, ["nDCG@10"]),
        differences_table(differences, ["nDCG@10"]),
    ]


IN_RANKER = """The autoregressive ranker on `{data}`, {steps} steps from scratch, one seed, with each activation in its
feed-forward layers: means over the test queries, then differences to GELU (permutation test, Holm). Queries with the
same nearest document are not independent and are drawn together. Activations that use statistics of the batch are left
out: in training they would see later tokens and other rows."""
