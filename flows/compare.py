"""Losses compared: the section `compare` trains each with every seed at equal steps, and one table shows them all.

As a script: python -m flows.compare [--preset tiny] [--set compare.seeds=[1,2,3] ...] [--parallel 2]
As a deployment: see prefect.yaml.
"""

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import polars as pl
from prefect import State, flow

from arrange.data import tables
from arrange.evaluation.measures import nearest_documents
from arrange.files import replacing
from arrange.formats import markdown
from arrange.report.comparison import comparison
from arrange.report.selection import selection
from arrange.training.history import kept_value
from flows import script
from flows.losses import rankers_of
from flows.parameters import Cluster, Hours, Overrides, Parallel, Preset
from flows.run import run
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
    return run(["track"], preset, overrides, parallel, hours, cluster, derive=trainings, table=table)


def trainings(sections: Mapping[str, Any]) -> dict[str, Any]:
    """The comparison as overrides: a ranker for each loss and seed, with the arguments of `finetune`."""
    section = sections["compare"]
    usual = sections["evaluate"]["reference"]
    reference = usual if usual in section["losses"] else section["losses"][0]
    return rankers_of(sections, section, section["losses"], reference)


def table(root: Path, sections: Mapping[str, Any]) -> tuple[str, list[dict[str, str]]]:
    """The table of `arrange.report.comparison` and its title; kept in the run's folder, with a study of selectors."""
    section, evaluate, split = sections["compare"], sections["evaluate"], sections["rank"]["split"]
    data, losses = section["data"], section["losses"]
    per_query = pl.read_parquet(root / "results" / data / "per_query.parquet")
    rows = comparison(
        per_query,
        nearest_documents(tables.read(root / "data" / data, splits=[split]).qrels),
        losses,
        list(dict.fromkeys([evaluate["reference"], VOTE])),
        {loss: seconds(root, [f"{data}-{loss}-{seed}" for seed in section["seeds"]]) for loss in losses},
        draws=evaluate["resamples"],
        seed=evaluate["seed"],
    )
    title = (
        f"{data}, {split} queries: means over seeds with 95% intervals of queries given these seeds (± between seeds), "
        f"differences with p after Holm, CPU seconds of a training; kept in {KEPT}"
    )
    shown = markdown(list(rows[0]), [list(row.values()) for row in rows])
    with replacing(root / KEPT) as part:
        part.write_text(f"{title}\n\n{shown}\n\n{selection(*validated(root, sections, per_query))}\n")
    return title, rows


def validated(root: Path, sections: Mapping[str, Any], per_query: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The candidates and the checkpoints of `arrange.evaluation.selection`, from the histories of the trainings."""
    section, arguments = sections["compare"], sections["finetune"]["arguments"]
    scores = per_query.group_by("system", "seed").agg(score=pl.col("nDCG@10").mean())
    candidates, checkpoints = [], []
    for loss, seed in product(section["losses"], section["seeds"]):
        path = root / "results" / section["data"] / f"{section['data']}-{loss}-{seed}.history.csv"
        history = pl.read_csv(path, infer_schema_length=None)
        candidates.append((loss, seed, *(kept_value(history, column, arguments) for column in VALIDATED)))
        if set(VALIDATED) <= set(history.columns):
            checkpoints += [
                (loss, seed, *row) for row in history.filter(pl.col("step") > 0).select("step", *VALIDATED).rows()
            ]
    keys: dict[str, type[pl.DataType]] = {"system": pl.String, "seed": pl.Int64}
    kept: dict[str, type[pl.DataType]] = {"nll": pl.Float64, "quality": pl.Float64}
    kept_ones = pl.DataFrame(candidates, keys | kept, orient="row").join(scores, on=["system", "seed"], how="left")
    return kept_ones, pl.DataFrame(checkpoints, keys | {"step": pl.Int64} | kept, orient="row")


def seconds(root: Path, rankers: list[str]) -> list[float]:
    """The CPU seconds of the rankers' trainings that ran in this folder: restored ones have no record."""
    records = [read_record(f"finetune@{ranker}", root) for ranker in rankers]
    return [record["cpu_seconds"] for record in records if "cpu_seconds" in record]


if __name__ == "__main__":
    script.run(compare)
