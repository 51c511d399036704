"""Losses and docIDs compared: the ranking alone, with a ranker for each system and seed, and nothing else that ranks.

`compare` trains the losses and docIDs of the section `compare` at equal steps, and puts them into one table. `sweep`
trains a grid of loss parameters, the section `sweep`, measured on the validation queries; its maps are in the report.

As scripts: python -m flows compare [--preset tiny] [--set compare.seeds=[1,2,3] ...] [--parallel 2]
As deployments: see prefect.yaml.
"""

import json
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import polars as pl
from prefect import State, flow

from arrange.data import tables
from arrange.errors import UserError
from arrange.evaluation.evaluation import SEEN
from arrange.evaluation.measures import nearest_documents
from arrange.files import replacing
from arrange.formats import markdown
from arrange.report.comparison import beam_recall, comparison, docids_table, validated
from arrange.report.selection import selection
from flows.parameters import Overrides, Parallel, Preset
from flows.run import run
from records.states import read_record
from settings.params import by_data

VOTE = "neighbours"  # the control that losses are compared with beside the reference
KEPT = Path("state", "comparison.md")  # in the run's folder; with seconds in it, it is no output of DVC's


@flow(name="compare", description="Compare losses at equal steps over several seeds (section `compare`).")
def compare(preset: Preset = None, overrides: Overrides = None, parallel: Parallel = 2) -> State:
    return run(["ranking_report"], preset, overrides, parallel, derive=trainings, table=table)


@flow(name="sweep", description="Compare losses over a grid of their parameters (section `sweep`).")
def sweep(preset: Preset = None, overrides: Overrides = None, parallel: Parallel = 2) -> State:
    return run(["ranking_report"], preset, overrides, parallel, derive=cells)


def trainings(sections: Mapping[str, Any]) -> dict[str, Any]:
    """The comparison as overrides: a ranker of each system and seed, with the arguments of `finetune`."""
    section, usual = sections["compare"], sections["evaluate"]["reference"]
    compared = systems(section)
    return rankers_of(sections, section, compared, usual if usual in compared else next(iter(compared)))


def systems(section: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """The docIDs and the loss of each system, which is called after what it doesn't share with all others.

    >>> systems({"docids": ["text", "rq"], "losses": ["item"]})
    {'text': ('text', 'item'), 'rq': ('rq', 'item')}
    """
    several = len(section["docids"]) > 1, len(section["losses"]) > 1
    form = {(True, False): "{docids}", (True, True): "{docids}_{loss}"}.get(several, "{loss}")
    pairs = product(section["docids"], section["losses"])
    return {form.format(docids=docids, loss=loss): (docids, loss) for docids, loss in pairs}


def cells(sections: Mapping[str, Any]) -> dict[str, Any]:
    """The sweep as overrides: its losses, and what `rankers_of` makes of them, measured on the validation queries."""
    grid = sections["sweep"]
    weights = [
        *product(grid["alpha"], grid["beta"], [1.0]),
        *product([0.0], [1.0], grid["gamma"]),  # one row, where documents count alike
    ]
    losses: dict[str, dict[str, Any]] = {
        named("combined", a=a, b=b, g=g): {"rule": "combined", "alpha": a, "beta": b, "gamma": g} for a, b, g in weights
    } | {named("geometric", r=rho): {"rule": "geometric", "rho": rho} for rho in grid["rho"]}
    if not losses:
        raise UserError(
            "the grid of section sweep is empty", "give sweep.rho, sweep.gamma, or sweep.alpha and beta values"
        )
    usual = named("combined", a=1.0, b=1.0, g=1.0)
    reference = usual if usual in losses else next(iter(losses))
    compared = {loss: (grid["docids"], loss) for loss in losses}
    return rankers_of(sections, grid, compared, reference) | {"losses": losses, "rank": {"split": "validation"}}


def rankers_of(
    sections: Mapping[str, Any], place: Mapping[str, Any], compared: Mapping[str, tuple[str, str]], reference: str
) -> dict[str, Any]:
    """Overrides that leave one data set, with a ranker for each system and seed, and nothing else that ranks.

    place: a section with `data` and `seeds`. compared: each system's docIDs and loss. reference: the system that others
    are tested against.
    """
    data = place["data"]
    rankers = {
        f"{data}-{system}-{seed}": {"data": data, "docids": docids, "loss": loss, "seed": seed}
        for system, (docids, loss) in compared.items()
        for seed in place["seeds"]
    }
    catalogues = {f"{data}-{docids}": {"data": data, "docids": docids} for docids, _ in compared.values()}
    docids, loss = compared[reference]
    there = {"data": data, "docids": docids}  # what other sections name must be there
    taken_away = {section: dict.fromkeys(entries) for section, entries in by_data(sections).items()}  # by None
    taught = Path(sections["finetune"]["teacher"]["table"]).stem
    taken_away.get("candidates", {}).pop(taught, None)  # what a teacher's table is made of stays
    return taken_away | {
        "datasets": dict.fromkeys(name for name in sections["datasets"] if name != data),
        "catalogues": taken_away["catalogues"] | catalogues,
        "rankers": taken_away["rankers"] | rankers,
        "evaluate": {"reference": reference},
        "sweep": there,
        "compare": {"data": data},
        "swap": there | {"loss": loss, "of": [], "known": []},
    }


def named(rule: str, **parameters: float) -> str:
    """The name of a loss in a grid.

    >>> named("combined", a=0.5, b=2.0), named("geometric", r=0.7)
    ('combined-a0_5-b2', 'geometric-r0_7')
    """
    return "-".join([rule, *(f"{key}{value:g}" for key, value in parameters.items())]).replace(".", "_")


def trained(section: Mapping[str, Any]) -> dict[str, dict[int, str]]:
    """The rankers of each system of a comparison by their seeds."""
    return {name: {seed: f"{section['data']}-{name}-{seed}" for seed in section["seeds"]} for name in systems(section)}


def table(root: Path, sections: Mapping[str, Any]) -> tuple[str, list[dict[str, str]]]:
    """The table of `arrange.report.comparison` and its title; kept in the run's folder, with docIDs and selectors."""
    section, evaluate, split = sections["compare"], sections["evaluate"], sections["rank"]["split"]
    data, compared = section["data"], systems(section)
    results, rankers = root / "results" / data, trained(section)
    per_query = pl.read_parquet(results / "per_query.parquet")
    rows = comparison(
        per_query,
        nearest_documents(tables.read(root / "data" / data, splits=[split]).qrels),
        list(compared),
        list(dict.fromkeys([evaluate["reference"], VOTE])),
        {name: seconds(root, *(f"finetune@{ranker}" for ranker in seeds.values())) for name, seeds in rankers.items()},
        draws=evaluate["resamples"],
        seed=evaluate["seed"],
    )
    title = (
        f"{data}, {split} queries: means over seeds with 95% intervals of queries given these seeds (± between seeds), "
        f"differences with p after Holm, CPU seconds of a training; kept in {KEPT}"
    )
    folders = {name: root / "docids" / f"{data}-{docids}" for name, (docids, _) in compared.items()}
    of_docids = docids_table(
        {name: json.loads((folder / "statistics.json").read_text()) for name, folder in folders.items()},
        {name: seconds(root, f"docids@{folder.name}") for name, folder in folders.items()},
        {name: beam_recall(results, seeds.values()) for name, seeds in rankers.items()},
        pl.read_parquet(results / "groups.parquet").filter(pl.col("grouping") == SEEN),
    )
    candidates, checkpoints = validated(results, rankers, per_query, sections["finetune"]["arguments"])
    study = selection(candidates, checkpoints, (root / KEPT).parent)
    parts = [title, table_of(rows), "## What the docIDs are", table_of(of_docids), study]
    with replacing(root / KEPT) as part:
        part.write_text("\n\n".join(parts) + "\n")
    return title, rows


def table_of(rows: list[dict[str, str]]) -> str:
    """Rows as Markdown."""
    return markdown(list(rows[0]), [list(row.values()) for row in rows])


def seconds(root: Path, *stages: str) -> list[float]:
    """The CPU seconds of the stages that ran in this folder: restored ones have no record."""
    records = [read_record(stage, root) for stage in stages]
    return [record["cpu_seconds"] for record in records if "cpu_seconds" in record]
