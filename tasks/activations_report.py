"""Stage `present`: what the searches found and what became of it elsewhere, as a page with pictures."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from arrange.activations.classical import CLASSICAL
from arrange.activations.evaluation import Activation
from arrange.activations.found import load
from arrange.activations.search.export import family
from arrange.evaluation import statistics
from arrange.files import replacing
from arrange.report import activation_figures as figures
from arrange.report import activations as library
from arrange.report import page
from arrange.report import rankers as rankers
from arrange.report.arms import arms_table, paired
from settings import params
from settings.sections import Settings
from tasks import stage

MADE = Path("activations")
REFERENCE = "gelu"
TITLE = "Activation functions"
DRAWN = 8  # found functions whose curves are shown


def present() -> None:
    """activations/ -> activations/report/: report.md with its pictures, and report.html, which has all in one."""
    settings = params.read()
    with replacing(MADE / "report") as folder:
        folder.mkdir(parents=True)
        parts = [about(settings), *searches(settings, folder), *transferred(folder), *swapped(settings)]
        text = "\n\n".join(part for part in parts if part)
        (folder / "report.md").write_text(text + "\n")
        (folder / "report.html").write_text(page.render(TITLE, [f"# {TITLE}", text], folder))


def about(settings: Settings) -> str:
    """What a number of this page means."""
    rungs = settings.fitness.rungs
    last = rungs["validate"]
    return ABOUT.format(
        searched=f"{rungs['search'].problems} problems and {rungs['search'].seeds} seeds",
        families=", ".join(rungs["search"].families),
        confirmed=f"{rungs['confirm'].problems} others",
        validated=f"{last.problems} more, with {last.seeds} seeds and the best of {len(last.rates)} learning rates",
        stretch=settings.fitness.ranges.stretch,
    )


ABOUT = """## Activation functions

Small networks learn a function inside a box and are tested outside of it, up to {stretch:g} times as far from its
centre. The fitness of an activation is minus the mean of log(error / error with GELU) over problems, families
weighted equally: above 0 is better than GELU, 0.1 is an error 10% lower. A search measures on {searched}
({families}); what would become an elite is measured again on {confirmed}; the best of each search on {validated}.
Each time the functions are drawn anew but for the equations of physics: these come from one list, and of one that comes
again only the points and the first weights are new. The control draws programs from the same grammar, independently,
with the same budget."""


def searches(settings: Settings, folder: Path) -> list[str]:
    """The arms, their finalists, the winner's family."""
    candidates = {name: pl.read_parquet(MADE / "searches" / name / "candidates.parquet") for name in settings.searches}
    generations = {name: pl.read_csv(MADE / "searches" / name / "generations.csv") for name in settings.searches}
    finalists = pl.read_parquet(MADE / "found" / "finalists.parquet")
    figures.plot_progress(generations, folder / "progress.png")
    parts = [
        "### Searches",
        library.searches_table(candidates, generations),
        FLUKES,
        "![best confirmed fitness by steps](progress.png)",
    ]
    if finalists.is_empty():
        return [*parts, "No search found a function that passed its re-test."]
    winner = finalists.row(0, named=True)
    figures.plot_family(family(candidates[winner["search"]], winner["id"]), folder / "family.png")
    figures.plot_functions(drawn(finalists), folder / "functions.png")
    return [
        *parts,
        "### Finalists on fresh problems",
        library.finalists_table(finalists),
        *arms(settings, finalists),
        "![functions and their derivatives](functions.png)",
        f"### The family of `{winner['name']}`\n\n![ancestors](family.png)",
    ]


FLUKES = """Candidates are the places that a search filled. Attempts that have no fitness failed an admission test, were
like another, or were hopeless on the first rung (`screened`); a place has several where it was tried again. A fluke
beat GELU in the search and not in its re-test; functions count once, those that a search begins with don't."""


def arms(settings: Settings, finalists: pl.DataFrame) -> list[str]:
    """Evolution against random search, where there are two seeds of both."""
    pairs = paired({name: (one.arm, one.seed) for name, one in settings.searches.items()}, finalists)
    return ["### Evolution against random search", arms_table(pairs), ARMS] if len(pairs) >= 2 else []


ARMS = """The winners' fitness on the problems that decide, seed by seed (0, GELU's, where a search found nothing); the
difference with Student's 95% interval and p over the seeds."""


def drawn(finalists: pl.DataFrame) -> Mapping[str, Activation]:
    """GELU and the best found functions."""
    found = {name: load(MADE / "found" / f"{name}.py") for name in finalists["name"].head(DRAWN - 1)}
    return {REFERENCE: CLASSICAL[REFERENCE], **found}


def transferred(folder: Path) -> list[str]:
    """The comparisons with GELU, group by group, and of the winners with GELU, ReLU and the control's winner."""
    by_group = pl.read_parquet(MADE / "transfer" / "by_group.parquet")
    parts = [f"### Transfer\n\n{TRANSFER}"] if len(by_group) else []
    for (group,), compared in by_group.group_by("group", maintain_order=True):
        parts.append(f"#### On {group}\n\n{library.compared_table(compared)}")
        if group == "digits":
            parts.append(DIGITS)
        if group == "held-out":
            parts.append(library.families_table(pl.read_parquet(MADE / "transfer" / "by_family.parquet")))
    winners = pl.read_parquet(MADE / "transfer" / "winners.parquet")
    for (group,), compared in winners.group_by("group", maintain_order=True):
        parts.append(f"#### The winners of the searches, on {group}\n\n{library.winners_table(compared)}")
    lines = pl.read_parquet(MADE / "transfer" / "extrapolation.parquet")
    if len(lines):
        figures.plot_extrapolation(lines, folder / "extrapolation.png")
        parts.append("#### Beyond the training box (shaded)\n\n![extrapolation](extrapolation.png)")
    return parts


TRANSFER = """Mean of log(error / error with GELU), below 0 is better; 95% interval by bootstrap over problems, p of
Wilcoxon's signed-rank test over problems after Holm. Problems of one data set or equation count as one, by their mean:
where the table says 20 (4), four means are tested, and p can't be below 0.125. † uses statistics of the batch: it sees
all shifted points at once."""
DIGITS = """The shifts are tests of the same trained networks, so interval and p tell of shifts like these, not of other
data."""


def swapped(settings: Settings) -> list[str]:
    """The ranker with each activation, against GELU."""
    scores = pl.read_parquet(MADE / "swapped.parquet")
    if scores.is_empty():
        return []
    per_query = scores.select("system", "query_id", "nDCG@10")
    clusters = scores.select("query_id", "cluster").unique(maintain_order=True)
    how = {"draws": settings.evaluate.resamples, "seed": settings.evaluate.seed}
    means = {
        system: {"nDCG@10": statistics.summary(of.drop("system"), clusters, **how).row(0, named=True)}
        for (system,), of in per_query.group_by("system", maintain_order=True)
    }
    differences = statistics.differences(per_query, REFERENCE, clusters, **how)
    return [
        f"### In the ranker\n\n{IN_RANKER.format(steps=settings.swap.steps, data=settings.swap.data)}",
        rankers.markdown_table(means, ["nDCG@10"]),
        rankers.differences_table(differences, ["nDCG@10"]),
    ]


IN_RANKER = """The autoregressive ranker on `{data}`, {steps} steps from scratch, one seed, with each activation in its
feed-forward layers; means over the test queries, then differences to GELU (permutation test, Holm). Queries with the
same nearest document are not independent and are drawn together. Activations that use statistics of the batch are left
out: in training they would see the tokens to come, and other rows."""


if __name__ == "__main__":
    stage.run(present)
