"""Stage `report`: what came out, as Markdown with pictures and as one HTML page, with rankings to look at."""

import json
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

import polars as pl
from markupsafe import Markup

from arrange.evaluation import statistics
from arrange.files import replacing
from arrange.formats import markdown
from arrange.report import page, rankings
from arrange.report import rankers as library
from settings import params
from settings.sections import Settings, systems
from tasks import stage

TITLE = "# Autoregressive ranking"
TABLE = ("nDCG@10", "overlap@1", "overlap@3", "overlap@5", "R@10", "tau_b")
IN_CONTEXT = (*TABLE, "CVR")
TIERS = ("nDCG@10", "judged@10", "R@10", "RR", "AP", "pairs")


def report() -> None:
    """results/, docids/ -> reports/: report.md and its pictures, and report.html, which has all in one."""
    settings = params.read()
    with replacing(Path("reports")) as folder:
        folder.mkdir()
        parts = [this_run(settings)]
        for data in settings.datasets:
            parts += [section(data, settings, folder), *looked_at(data, settings)]
        parts += mined(folder)
        in_markdown = [part for part in parts if not isinstance(part, Markup)]
        (folder / "report.md").write_text("\n\n".join([TITLE, *in_markdown]) + "\n")
        (folder / "report.html").write_text(page.render(TITLE.removeprefix("# "), parts, folder))


def this_run(settings: Settings) -> str:
    """What was run: the rankers, and how to have them again."""
    lines = ["| | data | docIDs | loss | seeds |", "|---" + "|:---" * 4 + "|"]
    for data in settings.datasets:
        for system, seeds in systems(settings.rankers, data).items():
            ranker = settings.rankers[next(iter(seeds))]
            loss = settings.losses[ranker.loss].model_dump(exclude_defaults=True)
            words = [loss.pop("rule"), *(f"{name} {value:g}" for name, value in loss.items())]
            found = ", ".join(str(seed) for seed in sorted(seeds.values()))
            lines.append(f"| {system} | {data} | {ranker.docids} | {', '.join(words)} | {found} |")
    return THIS_RUN.format(regime=settings.prompt.regime, split=settings.rank.split, table="\n".join(lines))


def mined(folder: Path) -> list[str]:
    """The part on activation functions, as the stage `present` wrote it; its pictures go to `folder`."""
    made = Path("activations", "report")
    for picture in sorted(made.glob("*.png")):
        shutil.copyfile(picture, folder / picture.name)
    return [(made / "report.md").read_text()]


THIS_RUN = """## This run

Rankers of the regime `{regime}`, measured on the {split} queries. `dvc repro` beside this run's `params.yaml` and
`dvc.lock` gives it again.

{table}"""


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
        training(data, histories, folder) if histories else "",
        searches({name: json.loads((results / f"{name}.search.json").read_text()) for name in histories}),
        *maps(data, metrics, settings, folder),
        *(catalogue(name, folder) for name, made in settings.catalogues.items() if made.data == data),
    ]
    return "\n\n".join(part for part in parts if part)


def training(data: str, histories: Mapping[str, pl.DataFrame], folder: Path) -> str:
    """Learning curves, and whether the validation loss tells what the ranking is worth."""
    library.plot_curves(histories, folder / f"{data}-curves.png")
    library.plot_correlation(histories, "validation_nDCG@10", folder / f"{data}-correlation.png")
    table = library.correlations_table(statistics.correlations(histories, "validation_nDCG@10"))
    return TRAINING.format(data=data, table=table)


TRAINING = """### Training

![learning curves]({data}-curves.png)

Spearman's correlation of validation loss and validation nDCG@10 over checkpoints:

{table}

![validation loss and nDCG@10]({data}-correlation.png)"""

EXPLANATION = """`random` is a random order of the true documents, `root_first` their reverse order, `copy` the
list of the nearest training query, `neighbours` a vote of the {k} nearest, `popularity` the most frequent documents:
controls. A ranker that doesn't beat them has not yet shown that it ranks. `prior` is the nDCG@10 of a system whose
first ten documents are put in one order for all queries, rarer in training first: where it is higher, the system
knows the set better than the order. `prior_tau_b` is the tau_b of that order, of all its documents: beside `random`,
which has the true set, it says how much of the true order needs no query."""


JUDGED = """### Ranking of the judged list

The set is given: each system orders the judged documents of each query, a ranker by their log-probabilities.

{table}"""


def judged_measures(shown: tuple[str, ...]) -> tuple[str, ...]:
    """The columns that mean something where the set is given."""
    return ("nDCG@10", "pairs", "AP") if "pairs" in shown else ("nDCG@10", "overlap@1", "overlap@3", "tau_b", "CVR")


def measures_of(metrics: library.Metrics, settings: Settings) -> tuple[str, ...]:
    """The columns of the table: those that mean something for this data set and regime."""
    if settings.prompt.regime == "in_context":
        return (*IN_CONTEXT, "prior", "prior_tau_b")
    tiers = next(iter(metrics.values()))["nDCG(dcg='exp-log2')@10"]["mean"] is not None
    return (*TIERS, "prior") if tiers else (*TABLE, "prior", "prior_tau_b")


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
    names = shown[:3]
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


def searches(audits: dict[str, dict[str, float | None]]) -> str:
    """What beam search missed and what lies outside the catalogue; nothing in context, where all is scored."""
    rows = {name: audit for name, audit in audits.items() if audit}
    if not rows:
        return ""
    columns = ("beam_recall", "proven", "outside", "invalid_share", "invalid_mass")
    shown = ([name, *(number(audit[column]) for column in columns)] for name, audit in rows.items())
    return SEARCHES.format(queries=next(iter(rows.values()))["queries"], table=markdown(["", *columns], shown))


def number(value: float | None) -> str:
    """Three digits, a dash for none."""
    return "-" if value is None else f"{value:.3f}"


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


def looked_at(data: str, settings: Settings) -> list[str]:
    """Rankings of a few queries: a Markdown paragraph that says which, and the HTML."""
    results = Path("results", data)
    excerpts = pl.read_parquet(results / "excerpts.parquet")
    metrics = json.loads((results / "metrics.json").read_text())
    rankers = systems(settings.rankers, data)
    shown = chosen(metrics, list(rankers), settings.evaluate.reference)
    scores = {system: "log p" if system in rankers else "score" for system in shown}
    words = RANKINGS.format(
        data=data,
        queries=excerpts["query_id"].n_unique(),
        systems=", ".join(f"`{system}`" for system in shown),
        ranked_by=settings.evaluate.reference if settings.evaluate.reference in metrics else next(iter(metrics)),
    )
    return [words, rankings.render(excerpts, scores, tiers(data, settings))]


RANKINGS = """### Rankings to look at

What {systems} put first for {queries} queries: in colour in report.html, and of all systems in
`results/{data}/excerpts.parquet`. The queries are a systematic sample, every n-th of a list in the order of their kind
and, within a kind, of the nDCG@10 of `{ranked_by}`. A ranker's log p is the log-probability of the docID, in nats."""
GIVEN_THE_SET = {"random", "root_first"}


def chosen(metrics: library.Metrics, rankers: Collection[str], reference: str) -> list[str]:
    """The reference, the best other ranker, and the best of the rest that isn't given the true set; by nDCG@10."""
    best = sorted(metrics.keys() - GIVEN_THE_SET, key=lambda system: (-metrics[system]["nDCG@10"]["mean"], system))
    others = [system for system in best if system in rankers and system != reference]
    rest = [system for system in best if system not in rankers]
    return [*([reference] if reference in rankers else []), *others[:1], *rest[:1]]


def tiers(data: str, settings: Settings) -> dict[int, str]:
    """ESCI's labels by their gains; none where documents have ranks."""
    made = settings.prepare_esci
    if data != "products" or made.truth != "labels":
        return {}
    names: dict[int, list[str]] = {}
    for letter, gain in made.gains.items():
        names.setdefault(gain, []).append(LABELS[letter])
    return {gain: " or ".join(equal) for gain, equal in names.items()}


LABELS = {"E": "exact", "S": "substitute", "C": "complement", "I": "irrelevant"}


if __name__ == "__main__":
    stage.run(report)
