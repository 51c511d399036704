"""What the stages before the report have left of one data set."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from arrange.data.coverage import Coverage
from arrange.data.tables import About, read_about
from arrange.evaluation.statistics import Metrics


@dataclass(frozen=True)
class Results:
    """The results of a data set; the first fields are those of `arrange.evaluation.evaluation.Evaluation`.

    coverage: what the data set can teach.
    histories and diagnostics are by entry of the rankers. A diagnostic is {} where no search was diagnosed.
    """

    data: str
    about: About
    metrics: Metrics
    judged: Metrics
    differences: pl.DataFrame
    against_bm25: pl.DataFrame
    groups: pl.DataFrame
    excerpts: pl.DataFrame
    coverage: Coverage
    histories: Mapping[str, pl.DataFrame]
    diagnostics: Mapping[str, Mapping[str, float | None]]


def read_results(folder: Path, entries: Iterable[str]) -> Results:
    """The results in `folder`, which has the data set's name; `entries` are its rankers."""
    entries = list(entries)
    return Results(
        data=folder.name,
        about=read_about(folder),
        metrics=json.loads((folder / "metrics.json").read_text()),
        judged=json.loads((folder / "judged.json").read_text()),
        differences=pl.read_parquet(folder / "differences.parquet"),
        against_bm25=pl.read_parquet(folder / "against_bm25.parquet"),
        groups=pl.read_parquet(folder / "groups.parquet"),
        excerpts=pl.read_parquet(folder / "excerpts.parquet"),
        coverage=Coverage(**json.loads((folder / "coverage.json").read_text())),
        histories={entry: pl.read_csv(folder / f"{entry}.history.csv") for entry in entries},
        diagnostics={entry: json.loads((folder / f"{entry}.diagnostics.json").read_text()) for entry in entries},
    )
