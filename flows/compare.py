"""Losses and docIDs compared: the section `compare` trains each with every seed at equal steps, in one table.

As a script: python -m flows compare [--preset tiny] [--set compare.seeds=[1,2,3] ...] [--parallel 2]
As a deployment: see prefect.yaml.
"""

import json
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import polars as pl
from prefect import State, flow

from arrange.data import tables
from arrange.evaluation.evaluation import SEEN
from arrange.evaluation.measures import nearest_documents
from arrange.files import replacing
from arrange.formats import markdown
from arrange.report.comparison import comparison, docids_table
from arrange.report.selection import selection
from arrange.training.history import kept_value
from flows.parameters import Cluster, Hours, Overrides, Parallel, Preset
from flows.run import run
from flows.sweep import rankers_of
from records.states import read_record

VOTE = "neighbours"  # the control that losses are compared with beside the reference
VALIDATED = ("validation_loss", "validation_nDCG@10")  # of a history: the common loss and the ranking
KEPT = Path("state", "comparison.md")  # in the run's folder; with seconds in it, it is no output of DVC's


@flow(name="compare", description="Compare losses at equal steps over several seeds (section `compare`).")
def compare(
    preset: Preset = None,
    overrides: Overrides = None,
    parallel: Parallel = 2,
    hours: Hours = None,
    cluster: Cluster = None,
) -> State:
    return run(["ranking_report"], preset, overrides, parallel, hours, cluster, derive=trainings, table=table)


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


def table(root: Path, sections: Mapping[str, Any]) -> tuple[str, list[dict[str, str]]]:
    """The table of `arrange.report.comparison` and its title; kept in the run's folder, with docIDs and selectors."""
    section, evaluate, split = sections["compare"], sections["evaluate"], sections["rank"]["split"]
    data, compared = section["data"], systems(section)
    trained = {name: [f"{data}-{name}-{seed}" for seed in section["seeds"]] for name in compared}
    per_query = pl.read_parquet(root / "results" / data / "per_query.parquet")
    rows = comparison(
        per_query,
        nearest_documents(tables.read(root / "data" / data, splits=[split]).qrels),
        list(compared),
        list(dict.fromkeys([evaluate["reference"], VOTE])),
        {name: seconds(root, rankers) for name, rankers in trained.items()},
        draws=evaluate["resamples"],
        seed=evaluate["seed"],
    )
    title = (
        f"{data}, {split} queries: means over seeds with 95% intervals of queries given these seeds (± between seeds), "
        f"differences with p after Holm, CPU seconds of a training; kept in {KEPT}"
    )
    groups = pl.read_parquet(root / "results" / data / "groups.parquet")
    of_docids = docids_table(
        {name: statistics(root, f"{data}-{docids}") for name, (docids, _) in compared.items()},
        {name: beam_recall(root / "results" / data, rankers) for name, rankers in trained.items()},
        groups.filter(pl.col("grouping") == SEEN),
    )
    tables_ = [table_of(rows), "## What the docIDs are", table_of(of_docids)]
    study = selection(*validated(root, sections, per_query), (root / KEPT).parent)
    with replacing(root / KEPT) as part:
        part.write_text("\n\n".join([title, *tables_, study]) + "\n")
    return title, rows


def table_of(rows: list[dict[str, str]]) -> str:
    """Rows as Markdown."""
    return markdown(list(rows[0]), [list(row.values()) for row in rows])


def statistics(root: Path, catalogue: str) -> dict[str, float]:
    """What the stage `docids` noted of a catalogue, and the CPU seconds that it took, if it ran here."""
    found = json.loads((root / "docids" / catalogue / "statistics.json").read_text())
    record = read_record(f"docids@{catalogue}", root)
    return found | {key: record[key] for key in ("cpu_seconds",) if key in record}


def beam_recall(results: Path, rankers: list[str]) -> float:
    """The share of the exact best documents that beams found, over seeds."""
    found = [json.loads((results / f"{ranker}.diagnostics.json").read_text())["beam_recall"] for ranker in rankers]
    return sum(found) / len(found)


def validated(root: Path, sections: Mapping[str, Any], per_query: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The candidates and the checkpoints of `arrange.evaluation.selection`, from the histories of the trainings."""
    section, arguments = sections["compare"], sections["finetune"]["arguments"]
    data = section["data"]
    scores = per_query.group_by("system", "seed").agg(score=pl.col("nDCG@10").mean())
    candidates, checkpoints = [], []
    for name, seed in product(systems(section), section["seeds"]):
        history = pl.read_csv(root / "results" / data / f"{data}-{name}-{seed}.history.csv", infer_schema_length=None)
        candidates.append((name, seed, *(kept_value(history, column, arguments) for column in VALIDATED)))
        if set(VALIDATED) <= set(history.columns):
            checkpoints += [
                (name, seed, *row) for row in history.filter(pl.col("step") > 0).select("step", *VALIDATED).rows()
            ]
    keys: dict[str, type[pl.DataType]] = {"system": pl.String, "seed": pl.Int64}
    kept: dict[str, type[pl.DataType]] = {"nll": pl.Float64, "quality": pl.Float64}
    kept_ones = pl.DataFrame(candidates, keys | kept, orient="row").join(scores, on=["system", "seed"], how="left")
    return kept_ones, pl.DataFrame(checkpoints, keys | {"step": pl.Int64} | kept, orient="row")


def seconds(root: Path, rankers: list[str]) -> list[float]:
    """The CPU seconds of the rankers' trainings that ran in this folder: restored ones have no record."""
    records = [read_record(f"finetune@{ranker}", root) for ranker in rankers]
    return [record["cpu_seconds"] for record in records if "cpu_seconds" in record]
