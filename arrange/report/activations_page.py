"""The report on activation functions: the searches, what they found, and how it transferred.

Every function returns parts in Markdown. A function that draws puts its pictures into `folder`. `made` is the folder
with the outputs of the stages before. Where a table would be empty, a sentence says why.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from arrange.activations import load, portfolio
from arrange.activations.classical import CLASSICAL
from arrange.activations.evaluation import Activation
from arrange.activations.search.candidates import SEED
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
        searched=f"{rungs.search.problems} problems",
        one=", ".join(rungs.search.families[::2]),
        other=", ".join(rungs.search.families[1::2]),
        confirmed=rungs.confirm.problems,
        validated=f"{rungs.validate.problems} problems of both, {rungs.validate.seeds} seeds, the best of "
        f"{len(rungs.validate.rates)} learning rates",
        stretch=fitness.ranges.stretch,
    )


ABOUT = """Small networks learn a function inside a box and are tested outside of it, up to {stretch:g} times as far
from its centre. No activation is best on all families of functions. So a search looks for a **portfolio**: train a
network with each member, keep the one with the lowest error on validation points inside the box. The gain of an
activation is how much the log of the error outside falls when validation may pick it too, families weighted equally:
0.1 is an error 10% lower. A portfolio begins with GELU, and in each part of a search's budget the best complement
joins. Candidates are proposed on one half of the families ({searched} of {one}, or of {other}), and only those become
elites that gain something on the other half too ({confirmed} problems). At the end the portfolio of each search grows
anew from its finalists, on {validated}. Each time the functions are drawn anew, except for the equations of physics:
these come from one list, and where one comes again, its points and the first weights are new. Two controls: random
search draws programs from the same grammar, independently, with the same budget; and GELU from as many seeds as a
portfolio has members is picked from by validation too, so that it costs the same training."""


def searches(made: Path, entries: Mapping[str, SearchEntry], folder: Path) -> list[str]:
    """The searches, their finalists, the ancestors of the first member that a search found."""
    candidates = {name: pl.read_parquet(made / "searches" / name / "candidates.parquet") for name in entries}
    generations = {name: pl.read_csv(made / "searches" / name / "generations.csv") for name in entries}
    finalists = pl.read_parquet(made / "found" / "finalists.parquet")
    figures.plot_progress(generations, folder / "progress.png")
    parts = [
        "### Searches",
        tables.searches_table(candidates, generations),
        SEARCHES,
        "![gain of the portfolio by steps](progress.png)",
        "### Finalists on fresh problems",
    ]
    if finalists.is_empty():
        return [*parts, "No table: no search found a function that added anything.", *arms(entries, finalists)]
    figures.plot_functions(with_curves(made, finalists), folder / "functions.png")
    return [
        *parts,
        tables.finalists_table(finalists),
        "![functions and their derivatives](functions.png)",
        *arms(entries, finalists),
        *family(candidates, finalists, folder),
    ]


def family(candidates: Mapping[str, pl.DataFrame], finalists: pl.DataFrame, folder: Path) -> list[str]:
    """The ancestors of the first finalist that no search began with."""
    found = finalists.filter(pl.col("mutator") != SEED)
    if found.is_empty():
        return ["### Ancestors\n\nNo picture: all finalists are functions that the searches began with."]
    first = found.row(0, named=True)
    figures.plot_family(ancestors(candidates[first["search"]], first["id"]), folder / "family.png")
    return [f"### The ancestors of `{first['name']}`\n\n![ancestors](family.png)"]


SEARCHES = """Candidates are the places that a search filled. A candidate without a fitness failed an admission test,
is a known function or an earlier candidate up to scale and sign (`known`, `duplicate`), or was not among the best on
the first rung (`screened`). A place that was tried again has several attempts. A false positive is a function that
gained something on the families that it was proposed on, and nothing on the others. The functions that a search begins
with don't count."""


def arms(entries: Mapping[str, SearchEntry], finalists: pl.DataFrame) -> list[str]:
    """Evolution against random search, over the seeds that both have."""
    pairs = tables.paired({name: (one.arm, one.seed) for name, one in entries.items()}, finalists)
    heading = "### Evolution against random search"
    if len(pairs) < 2:
        return [heading, f"No table: it takes two seeds that both arms have, and there are {len(pairs)}."]
    return [heading, tables.arms_table(pairs), ARMS]


ARMS = """What the members of each search's portfolio add to GELU on the fresh problems of the selection, seed by seed
(0 where a search found nothing). The difference has Student's 95% interval and p over the seeds."""


def with_curves(made: Path, finalists: pl.DataFrame) -> Mapping[str, Activation]:
    """GELU and the first finalists."""
    names = finalists["name"].unique(maintain_order=True).head(CURVES - 1)
    return {REFERENCE: CLASSICAL[REFERENCE], **{name: load(made / "found" / f"{name}.py") for name in names}}


def transferred(made: Path, folder: Path) -> list[str]:
    """Portfolios against their rivals and how they grow, single activations by family and group."""
    read = {path.stem: pl.read_parquet(path) for path in (made / "transfer").glob("*.parquet")}
    if read["by_group"].is_empty():
        return ["### Transfer", "No tables: nothing was transferred (transfer.to)."]
    figures.plot_growth(read["growth"], folder / "growth.png", "gelu seeds")
    figures.plot_picks(read["picks"], folder / "picks.png")
    parts = ["### Portfolios on what no search saw", PORTFOLIOS]
    for (group,), compared in read["portfolios"].group_by("group", maintain_order=True):
        parts.append(f"#### Portfolios, on {group}\n\n{tables.rivals_table(compared)}")
    if "learned" in read:
        parts += ["#### One network that learns its activation", LEARNED, tables.rivals_table(read["learned"])]
    parts += ["![gain over size](growth.png)", "#### What was picked where", "![picks](picks.png)"]
    if "by_family" in read:
        figures.plot_map(read["by_family"], folder / "map.png")
        parts += ["### Activations by family", "![activation and family](map.png)"]
    parts += ["### Transfer", TRANSFER]
    for (group,), compared in read["by_group"].group_by("group", maintain_order=True):
        parts.append(f"#### On {group}\n\n{tables.compared_table(compared)}")
        if group == "digits":
            parts.append(DIGITS)
        if group == "held-out":
            parts.append(tables.families_table(read["by_family"]))
    return [*parts, *extrapolation(made, folder)]


PORTFOLIOS = """`portfolio <search>` is what a search found, `portfolio classical` is GELU, SiLU and sine. `best of k
gelu` is the control of equal training. Mean of log(error / error of the rival): below 0 is better."""
LEARNED = """On the held-out families. Each hidden layer mixes all functions of the classical portfolio, with
coefficients that it learns: the same ones for all points (`la`), or gates of the layer's input (`moa`). There is one
network, and the best of as many as the portfolio has members."""
TRANSFER = """Mean of log(error / error with one GELU): below 0 is better. The 95% interval is a studentised bootstrap
over problems, p is that of Wilcoxon's signed-rank test over problems after Holm. Problems of one data set or equation
count as one, by their mean: where the table says 20 (4), four means are tested, and p cannot be below 0.125. † uses
statistics of the batch, so it sees all shifted points at once. A portfolio costs the FLOPs of all its members."""
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
    per_query = scores.select("system", "seed", "query_id", "nDCG@10")
    clusters = scores.select("query_id", "cluster").unique(maintain_order=True)
    resampled: dict[str, Any] = {"clusters": clusters, "draws": draws, "seed": seed}
    means = {
        str(system): {"nDCG@10": statistics.summary(of_system.drop("system"), **resampled).row(0, named=True)}
        for (system,), of_system in per_query.group_by("system", maintain_order=True)
    }
    differences = statistics.differences(per_query, REFERENCE, **resampled)
    about = {"data": swap.data, "steps": swap.steps, "seeds": len(swap.seeds), "rates": len(swap.rates)}
    return [
        heading,
        IN_RANKER.format(**about),
        measures_table(means, ["nDCG@10"]),
        differences_table(differences, ["nDCG@10"]),
        *against_control(per_query, resampled),
        "#### What validation picked, by seed",
        tables.trained_table(scores),
    ]


IN_RANKER = """The autoregressive ranker on `{data}`, {steps} steps from scratch, with each activation in its
feed-forward layers. Seeds: {seeds}; learning rates: {rates}, of which validation picks one for each seed. First the
means over the test queries (± is the deviation over seeds), then differences to GELU: values are averaged over seeds
and paired by query (permutation test, Holm). Queries with the same nearest document are not independent and are drawn
together. So intervals hold for these seeds, and the deviation shows how much training varies. `portfolio classical` has
for each seed the best of GELU, SiLU and sine by validation, `portfolio <search>` that of what a search found, and `best
of k gelu` the best of k seeds with GELU. Activations that use statistics of the batch are left out: in training they
would see later tokens and other rows."""


def against_control(per_query: pl.DataFrame, resampled: Mapping[str, Any]) -> list[str]:
    """The portfolios against the control of equal training, where there is one."""
    systems = per_query["system"].unique(maintain_order=True)
    portfolios = [system for system in systems if system.startswith(portfolio.titled(""))]
    controls = [system for system in systems if system.startswith(portfolio.CONTROL)]
    heading = "#### Portfolios of rankers against equal training with GELU"
    if not controls or not portfolios:
        return [heading, "No table: it takes two seeds of GELU, and a portfolio of two members."]
    compared = per_query.filter(pl.col("system").is_in([*portfolios, *controls]))
    return [heading, differences_table(statistics.differences(compared, controls[0], **resampled), ["nDCG@10"])]
