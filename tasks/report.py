"""Stage `report`: what came out, as one Markdown page with pictures."""

import json
from pathlib import Path

import polars as pl

from arrange.files import replacing
from arrange.ranking import report as library
from arrange.ranking import statistics
from tasks import params, stage
from tasks.settings import Settings, systems

TABLE = ("nDCG@10", "overlap@1", "overlap@3", "overlap@5", "R@10", "tau_b")
IN_CONTEXT = (*TABLE, "CVR")
TIERS = ("nDCG@10", "judged@10", "R@10", "RR", "AP", "pairs")


def report() -> None:
    """results/, docids/ -> reports/report.md and its pictures."""
    settings = params.read()
    with replacing(Path("reports")) as part:
        part.mkdir()
        sections = [section(data, settings, part) for data in settings.datasets]
        (part / "report.md").write_text("# Autoregressive ranking\n\n" + "\n\n".join(sections) + "\n")


def section(data: str, settings: Settings, folder: Path) -> str:
    """The part of the page on one data set; its pictures go to `folder`."""
    results = Path("results", data)
    metrics = json.loads((results / "metrics.json").read_text())
    judged = json.loads((results / "judged.json").read_text())
    differences = pl.read_parquet(results / "differences.parquet")
    histories = {
        name: pl.read_csv(results / f"{name}.history.csv")
        for runs_of in systems(settings.rankers, data).values()
        for name in runs_of
    }
    library.plot_measure(metrics, "nDCG@10", folder / f"{data}-ndcg.png")
    library.plot_curves(histories, folder / f"{data}-curves.png")
    library.plot_correlation(histories, "validation_nDCG@10", folder / f"{data}-correlation.png")
    shown = measures_of(metrics, settings)
    parts = [
        f"## {data}",
        about(data, settings, metrics),
        library.markdown_table(metrics, shown),
        JUDGED.format(table=library.markdown_table(judged, judged_measures(shown))),
        EXPLANATION.format(k=settings.controls.neighbours),
        f"![nDCG@10]({data}-ndcg.png)",
        compared(differences, shown, settings),
        grouped(pl.read_parquet(results / "groups.parquet")),
        f"### Training\n\n![learning curves]({data}-curves.png)",
        "Spearman's correlation of validation loss and validation nDCG@10 over checkpoints:",
        library.correlations_table(statistics.correlations(histories, "validation_nDCG@10")),
        f"![validation loss and nDCG@10]({data}-correlation.png)",
        searches({name: json.loads((results / f"{name}.search.json").read_text()) for name in histories}),
        *maps(data, metrics, settings, folder),
        *(catalogue(name, folder) for name, made in settings.catalogues.items() if made.data == data),
    ]
    return "\n\n".join(part for part in parts if part)


EXPLANATION = """`random` is a random order of the true documents, `root_first` their reverse order, `copy` the
list of the nearest training query, `neighbours` a vote of the {k} nearest, `popularity` the most frequent documents:
controls. A ranker that doesn't beat them has not yet shown that it ranks. `prior` is the nDCG@10 of a system whose
first ten documents are put in one order for all queries, rarer in training first: where it is higher, the system
knows the set better than the order."""


JUDGED = """### Ranking of the judged list

The set is given: each system orders the judged documents of each query, a ranker by their log-probabilities.

{table}"""


def judged_measures(shown: tuple[str, ...]) -> tuple[str, ...]:
    """The columns that mean something where the set is given."""
    return ("nDCG@10", "pairs", "AP") if "pairs" in shown else ("nDCG@10", "overlap@1", "overlap@3", "tau_b", "CVR")


def measures_of(metrics: library.Metrics, settings: Settings) -> tuple[str, ...]:
    """The columns of the table: those that mean something for this data set and regime."""
    if settings.prompt.regime == "in_context":
        return (*IN_CONTEXT, "prior")
    tiers = next(iter(metrics.values()))["nDCG(dcg='exp-log2')@10"]["mean"] is not None
    return (*(TIERS if tiers else TABLE), "prior")


def about(data: str, settings: Settings, metrics: library.Metrics) -> str:
    """What must stand beside each number."""
    queries = next(iter(metrics.values()))["nDCG@10"]["queries"]
    counts = {len(runs_of) for runs_of in systems(settings.rankers, data).values()}
    luck = "one training seed, so the interval doesn't cover the luck of training" if counts == {1} else "± over seeds"
    return (
        f"{describe(data, settings)} Regime `{settings.prompt.regime}`. {queries} {settings.rank.split} queries; "
        f"mean and 95% interval (bootstrap over queries with the same best document); {luck}."
    )


def describe(data: str, settings: Settings) -> str:
    """Which part of which data set, in which form."""
    prepared = json.loads(Path("results", data, "preparation.json").read_text())
    if prepared:
        return f"{prepared['name'][0].upper()}{prepared['name'][1:]}."
    part = settings.prepare_wordnet
    return f"WordNet 3.0 nouns below `{part.root}`, query text `{part.text}`, split by `{part.split}`."


def compared(differences: pl.DataFrame, shown: tuple[str, ...], settings: Settings) -> str:
    """The differences to the reference, or nothing where the data set has no such ranker."""
    if differences.is_empty():
        return ""
    names = [name for name in shown if name != "prior"][:3]
    return (
        f"### Against `{settings.evaluate.reference}`\n\nDifference, 95% interval, and p of a permutation test over "
        f"clusters of queries, after Holm over the systems.\n\n{library.differences_table(differences, names)}"
    )


def grouped(groups: pl.DataFrame) -> str:
    """nDCG@10 within groups of queries, where the data set tells kinds of them apart."""
    tables = []
    several = groups.filter(pl.col("group").n_unique().over("grouping") > 1)
    for (grouping,), part in several.group_by("grouping", maintain_order=True):
        names = {
            group: f"{group} ({queries})"
            for group, queries in part.select("group", "queries").unique().sort("group").rows()
        }
        rows = {
            system: {names[row["group"]]: row for row in of.rows(named=True)}
            for (system,), of in part.group_by("system", maintain_order=True)
        }
        tables.append(f"By {grouping} (number of queries):\n\n{library.markdown_table(rows, list(names.values()))}")
    return "### nDCG@10 by kind of query\n\n" + "\n\n".join(tables) if tables else ""


def searches(audits: dict[str, dict[str, float]]) -> str:
    """What beam search missed and what lies outside the catalogue; nothing in context, where all is scored."""
    rows = {name: audit for name, audit in audits.items() if audit}
    if not rows:
        return ""
    columns = ("beam_recall", "proven", "outside", "invalid_share", "invalid_mass")
    lines = [f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name, audit in rows.items():
        lines.append(f"| {name} | {' | '.join(f'{audit[column]:.3f}' for column in columns)} |")
    return SEARCHES.format(queries=next(iter(rows.values()))["queries"], table="\n".join(lines))


SEARCHES = """### Search, {queries} queries

{table}

`beam_recall` is the share of the exact best documents that beam search finds, `proven` that of queries whose exact
answer is proven; `outside` the probability off the catalogue (a lower bound); `invalid_` what an unconstrained beam
search says that is no docID: its share of the sequences, and its probability."""


def maps(data: str, metrics: library.Metrics, settings: Settings, folder: Path) -> list[str]:
    """Maps of three measures over alpha and beta, where the rankers span such a grid (`make sweep`)."""
    grid = [
        {"alpha": loss.alpha, "beta": loss.beta} | {name: metrics[system][name]["mean"] for name in TABLE}
        for system in systems(settings.rankers, data)
        for loss in [settings.losses[system.split()[-1]]]
        if loss.rule == "combined" and loss.gamma == 1 and not loss.plackett_luce and not loss.hinge
    ]
    if len({row["alpha"] for row in grid}) < 2 or len({row["beta"] for row in grid}) < 2:
        return []
    pictures = []
    for measure in ("nDCG@10", "overlap@3", "R@10"):
        name = f"{data}-map-{measure.replace('@', '')}.png"
        library.plot_map(grid, "alpha", "beta", measure, folder / name)
        pictures.append(f"![{measure} by alpha and beta]({name})")
    return ["### alpha and beta", *pictures]


def catalogue(name: str, folder: Path) -> str:
    """A catalogue's docIDs: how many, how long, how they branch."""
    shape = json.loads(Path("docids", name, "statistics.json").read_text())
    library.plot_branching(shape["branching_by_depth"], folder / f"{name}-trie.png")
    return (
        f"### DocIDs `{name}`\n\n{shape['documents']} docIDs, {shape['mean_depth']:.2f} tokens each (at most "
        f"{shape['max_depth']}), {shape['nodes']} nodes of the trie.\n\n![branching by depth]({name}-trie.png)"
    )


if __name__ == "__main__":
    stage.run(report)
