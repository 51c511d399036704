"""The report on rankers: what was run, and for each data set its tables, figures and rankings to look at.

Every function returns Markdown, or HTML as `Markup`. A function that draws puts its pictures into `folder`. Where a
table would be empty, a sentence says why.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from arrange.errors import UserError
from arrange.evaluation import statistics
from arrange.evaluation.evaluation import GIVEN_THE_SET
from arrange.evaluation.measures import MEASURES
from arrange.evaluation.statistics import Metrics
from arrange.formats import markdown
from arrange.report import figures, rankings, tables
from arrange.report.answer import data_lines
from arrange.report.results import Results

MAPPED = ("nDCG@10", "overlap@3", "R@10")  # measures of the maps over alpha and beta
VALIDATED = "validation_nDCG@10"


@dataclass(frozen=True)
class Ranker:
    """A ranker of the tables: its docIDs, regime and loss (see `loss_of`), and its entries with their seeds."""

    docids: str
    regime: str
    loss: Mapping[str, Any]
    seeds: Mapping[str, int]


@dataclass(frozen=True)
class Conditions:
    """What holds for the whole run: prompt.regime, rank.split, evaluate.reference, controls.neighbours."""

    regime: str
    split: str
    reference: str
    neighbours: int


def loss_of(loss: Any) -> dict[str, Any]:
    """The rule of a loss and those of its parameters that are not the rule's defaults; `loss` is a dataclass.

    A section in it is flat: terms.plackett_luce.
    """
    return {"rule": loss.rule, **{name: value for name, value in _changed(loss).items() if name != "rule"}}


def _changed(section: Any) -> dict[str, Any]:
    """The fields of a dataclass that are not its defaults, those of dataclasses in it by dotted names."""
    changed: dict[str, Any] = {}
    for field in fields(section):
        value = getattr(section, field.name)
        if is_dataclass(value):
            changed |= {f"{field.name}.{name}": inner for name, inner in _changed(value).items()}
        elif value != field.default:
            changed[field.name] = value
    return changed


def this_run(rankers: Mapping[str, Mapping[str, Ranker]], conditions: Conditions) -> str:
    """What was run: the rankers of each data set, and how to run them again."""
    rows = []
    for data, of_data in rankers.items():
        for system, ranker in of_data.items():
            rule, *parameters = ranker.loss.items()
            loss = ", ".join(
                [
                    rule[1],
                    *(
                        f"{name} {value if isinstance(value, str) else format(value, 'g')}"
                        for name, value in parameters
                    ),
                ]
            )
            rows.append([system, data, ranker.docids, loss, ", ".join(map(str, sorted(ranker.seeds.values())))])
    return THIS_RUN.format(
        regime=conditions.regime,
        split=conditions.split,
        table=markdown(["", "data", "docIDs", "loss", "seeds"], rows, left=(1, 2, 3, 4)),
    )


THIS_RUN = """## This run

Rankers of the regime `{regime}`, measured on the {split} queries. `dvc repro` beside the `params.yaml` and `dvc.lock`
of this run gives it again.

{table}"""


def section(
    results: Results, rankers: Mapping[str, Ranker], conditions: Conditions, folder: Path
) -> list[str | Markup]:
    """The part of the report on one data set."""
    data, columns = results.data, columns_of(results, conditions.regime)
    figures.plot_measure(results.metrics, "nDCG@10", folder / f"{data}-ndcg.png", kinds(results.metrics, rankers))
    return [
        f"## {data}",
        about(results, rankers, conditions),
        data_lines(results),
        tables.measures_table(results.metrics, columns),
        shown(rankers, conditions),
        controls(results.metrics, conditions.neighbours),
        tables.definitions_table(columns),
        f"![nDCG@10]({data}-ndcg.png)",
        judged(results),
        compared(results, conditions.reference),
        grouped(results),
        training(results, folder),
        diagnostics(results, conditions.regime),
        *maps(results, rankers, folder),
        *to_look_at(results, rankers, conditions.reference),
    ]


def shown(rankers: Mapping[str, Ranker], conditions: Conditions) -> str:
    """Which rankers read the judged documents in their prompt, where others search the corpus; often nothing."""
    names = [f"`{name}`" for name, ranker in rankers.items() if ranker.regime == "in_context"]
    if conditions.regime == "in_context" or not names:
        return ""
    return (
        f"{' and '.join(names)} rank the judged documents, which the prompt shows: compare them where the set is given."
    )


def controls(systems: Collection[str], neighbours: int) -> str:
    """What the controls of a table are."""
    given = GIVEN if {*GIVEN_THE_SET} & {*systems} else ""
    return CONTROLS.format(given=given, k=neighbours)


GIVEN = """ `random` is a random order of the true documents and `root_first` their
reverse order: both are given the true set."""
CONTROLS = """Controls need no language model.{given} `copy` is the list of the nearest training query,
`neighbours` a vote of the {k} nearest, `popularity` the most frequent documents, `bm25` a ranking by the words of query
and document. A ranker that does not beat them has not yet shown that it ranks. The columns:"""


def columns_of(results: Results, regime: str) -> list[str]:
    """The columns of the main table: the data set's measures, CVR where candidates are shown, and the priors."""
    measures = results.about.measures
    if unknown := [name for name in measures if name not in MEASURES]:
        what = f"about.json of {results.data} has the measure {unknown[0]!r}"
        raise UserError(what, f"take some of {', '.join(MEASURES)} (arrange/evaluation/measures.py)")
    in_context = ["CVR"] if regime == "in_context" else []
    return list(dict.fromkeys([*measures, *in_context, "prior", *(["prior_tau_b"] if "tau_b" in measures else [])]))


def kinds(systems: Collection[str], rankers: Collection[str]) -> dict[str, str]:
    """Of which kind each system is, as a legend says it."""
    given = "control, given the true set"
    return {
        system: "ranker" if system in rankers else given if system in GIVEN_THE_SET else "baseline, fusion or control"
        for system in systems
    }


def about(results: Results, rankers: Mapping[str, Ranker], conditions: Conditions) -> str:
    """What the data set is, what the numbers are means of, and what the intervals cover."""
    queries = max(row["nDCG@10"]["queries"] for row in results.metrics.values())
    one_seed = all(len(ranker.seeds) == 1 for ranker in rankers.values())
    seeds = "One training seed, so the interval does not cover how training varies" if one_seed else SPREAD
    parts = [
        results.about.title,
        results.about.note,
        f"Regime `{conditions.regime}`. {queries} {conditions.split} queries; mean and 95% interval (studentised "
        f"bootstrap over clusters of queries with the same best document). {seeds}.",
    ]
    return " ".join(part for part in parts if part)


SPREAD = "±: standard deviation over seeds, which the interval does not cover: it is that of queries given these seeds"


def judged(results: Results) -> str:
    """The rankings of the judged documents alone, by the measures that say something there."""
    candidates = dict.fromkeys((*results.about.measures, "CVR"))
    columns = [
        name
        for name in candidates
        if MEASURES[name].of_order and any(row[name]["mean"] is not None for row in results.judged.values())
    ]
    return JUDGED.format(table=tables.measures_table(results.judged, columns))


JUDGED = """### Ranking of the judged list

The set is given: each system orders the judged documents of each query, a ranker by their log-probabilities.

{table}"""


def compared(results: Results, reference: str) -> str:
    """The differences to the reference and their tests."""
    heading = f"### Against `{reference}`"
    if reference not in results.metrics:
        systems = ", ".join(results.metrics)
        why = f"`{results.data}` has no system `{reference}` (evaluate.reference); its systems: {systems}."
        return f"{heading}\n\nNo significance tests: {why}"
    table = tables.differences_table(results.differences, results.about.measures[:3])
    return f"{heading}\n\n{COMPARED}\n\n{table}"


COMPARED = """Difference, 95% interval, and p of a permutation test over clusters of queries, adjusted by Holm's method
over the systems."""


def grouped(results: Results) -> str:
    """nDCG@10 within groups of queries."""
    by_grouping = tables.groups_tables(results.groups)
    parts = [f"By {grouping} (number of queries):\n\n{table}" for grouping, table in by_grouping.items()]
    return "\n\n".join(["### nDCG@10 by kind of query", *(parts or ["No table: the queries are all of one kind."])])


def training(results: Results, folder: Path) -> str:
    """Learning curves, and whether the validation loss tells how good the ranking is."""
    if not results.histories:
        return "### Training\n\nNo curves: no ranker was trained on this data set."
    data, correlations = results.data, statistics.correlations(results.histories, VALIDATED)
    figures.plot_curves(results.histories, folder / f"{data}-curves.png")
    figures.plot_correlation(results.histories, VALIDATED, folder / f"{data}-correlation.png")
    return TRAINING.format(data=data, table=tables.correlations_table(correlations))


TRAINING = """### Training

![learning curves]({data}-curves.png)

Spearman's correlation of validation loss and validation nDCG@10 over checkpoints. A dash: there are fewer than three
checkpoints, or one of the two never changes.

{table}

![validation loss and nDCG@10]({data}-correlation.png)"""


def diagnostics(results: Results, regime: str) -> str:
    """What beam search missed, and what the models would generate outside the catalogue."""
    diagnosed = {entry: values for entry, values in results.diagnostics.items() if values}
    if not diagnosed:
        why = "no ranker was diagnosed (rank.diagnosed is 0, or the data set has no ranker)"
        why = "in context every candidate is scored, so that nothing is searched" if regime == "in_context" else why
        return f"### Search diagnostics\n\nNo table: {why}."
    queries = next(iter(diagnosed.values()))["queries"]
    meanings = "; ".join(f"`{name}`: {text}" for name, text in tables.DIAGNOSTICS.items())
    return f"### Search diagnostics, {queries} queries\n\n{tables.diagnostics_table(diagnosed)}\n\n{meanings}."


def maps(results: Results, rankers: Mapping[str, Ranker], folder: Path) -> list[str]:
    """Maps of three measures over alpha and beta, where the rankers span such a grid (`make sweep`); else nothing."""
    grid = [
        {"alpha": ranker.loss["alpha"], "beta": ranker.loss["beta"]}
        | {name: results.metrics[system][name]["mean"] for name in MAPPED}
        for system, ranker in rankers.items()
        if ranker.loss["rule"] == "combined" and ranker.loss.keys() <= {"rule", "alpha", "beta", "normalised"}
    ]
    if len({row["alpha"] for row in grid}) < 2 or len({row["beta"] for row in grid}) < 2:
        return []
    pictures = []
    for measure in MAPPED:
        name = f"{results.data}-map-{measure.replace('@', '')}.png"
        figures.plot_map(grid, "alpha", "beta", measure, folder / name)
        pictures.append(f"![{measure} by alpha and beta]({name})")
    return ["### alpha and beta", *pictures]


def catalogue(docids: Path, folder: Path) -> str:
    """The docIDs in the folder `docids`: how many, how long, how they branch, how the codes of each level are used."""
    name, shape = docids.name, json.loads((docids / "statistics.json").read_text())
    figures.plot_branching(shape["branching_by_depth"], folder / f"{name}-trie.png")
    cut = CUT.format(share=shape["cut_queries"], tokens=shape["query_tokens"]) if shape["cut_queries"] else ""
    return (
        f"### DocIDs `{name}`\n\n{cut}{shape['documents']} docIDs of {shape['mean_depth']:.2f} tokens on average "
        f"(at most {shape['max_depth']}), {shape['nodes']} nodes of the trie.\n\n![branching by depth]({name}-trie.png)"
        f"{levels(shape)}"
    )


def levels(shape: Mapping[str, Any]) -> str:
    """The codes of each level as a table with what its columns mean; nothing where docIDs are no codes."""
    names = ("codes_used", "perplexity", "collisions", "reconstruction_error")
    columns = [shape.get(f"{name}_by_level") for name in names]
    if columns[0] is None:
        return ""
    rows = [
        [str(level + 1), *("-" if column is None else f"{column[level]:,}" for column in columns)]
        for level in range(len(columns[0]))
    ]
    return LEVELS.format(table=markdown(["level", *(name.replace("_", " ") for name in names)], rows))


LEVELS = """

{table}

Perplexity is the number of equally used codes that would be as uncertain. Collisions are documents whose codes up to
this level an earlier document has. The error is the share of the vectors' squared lengths that the codes so far leave
over; a dash: the scheme restores no vectors."""

CUT = """**{share:.0%} of the training queries have more than {tokens} tokens and are cut:** rankers don't read the
rest. A larger `prompt.query_tokens` shows it to them.

"""


def to_look_at(results: Results, rankers: Collection[str], reference: str) -> list[str | Markup]:
    """Rankings of a few queries: a Markdown paragraph that says which, and the rankings as HTML."""
    systems = chosen(results.metrics, rankers, reference)
    text = RANKINGS.format(
        data=results.data,
        queries=results.excerpts["query_id"].n_unique(),
        systems=", ".join(f"`{system}`" for system in systems),
        ranked_by=reference if reference in results.metrics else next(iter(results.metrics)),
    )
    scores = {system: "log p" if system in rankers else "score" for system in systems}
    return [text, rankings.render(results.excerpts, scores, results.about.labels)]


RANKINGS = """### Rankings to look at

What {systems} put first for {queries} queries: in colour in report.html, and of all systems in
`results/{data}/excerpts.parquet`. The queries are a systematic sample: every n-th of a list in the order of their kind
and, within a kind, of the nDCG@10 of `{ranked_by}`. The log p of a ranker is the log-probability of the docID in
nats."""


def chosen(metrics: Metrics, rankers: Collection[str], reference: str) -> list[str]:
    """The reference, the best other ranker, and the best of the rest that is not given the true set; by nDCG@10."""
    best = sorted(metrics.keys() - {*GIVEN_THE_SET}, key=lambda system: (-metrics[system]["nDCG@10"]["mean"], system))
    others = [system for system in best if system in rankers and system != reference]
    rest = [system for system in best if system not in rankers]
    return [*([reference] if reference in rankers else []), *others[:1], *rest[:1]]
