"""Losses and docIDs compared: means over seeds, differences with their tests, what each cost, what the docIDs are."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from arrange.evaluation import statistics
from arrange.formats import interval, p_value
from arrange.report.tables import cell
from arrange.training.history import kept_value

MEASURES = ("nDCG@10", "overlap@3")
VALIDATED = ("validation_loss", "validation_nDCG@10")  # of a history: the common loss and the ranking


def comparison(
    per_query: pl.DataFrame,
    clusters: pl.DataFrame,
    losses: Sequence[str],
    references: Sequence[str],
    cpu_seconds: Mapping[str, Sequence[float]],
    **resampled: int,
) -> list[dict[str, str]]:
    """A row for each loss, then for each reference that is none.

    per_query: of `arrange.evaluation.evaluation`. cpu_seconds: of the trainings of each loss, as far as known.
    resampled: draws and seed of `statistics`. A difference is paired by query, after the mean over seeds, and its p is
    adjusted by Holm's method over the losses, for each reference and measure alone. Interval and p are those of queries
    given these seeds; how the means of the seeds vary is behind the ±.
    """
    chosen = per_query.select("system", "seed", "query_id", *MEASURES)
    against = {name: differences(chosen, losses, name, clusters, resampled) for name in references}
    rows = []
    for system in dict.fromkeys([*losses, *references]):
        part = chosen.filter(system=system).drop("system")
        row = {"": system, "seeds": str(part["seed"].n_unique()) if system in losses else "-"}
        for mean in statistics.summary(part, clusters, **resampled).rows(named=True):
            row[mean["measure"]] = cell(mean)
            row |= {
                f"{mean['measure']} - {name}": found.get((system, mean["measure"]), "-")
                for name, found in against.items()
            }
        rows.append(row | {"CPU s each": seconds_of(cpu_seconds.get(system, []))})
    return rows


def differences(
    per_query: pl.DataFrame,
    losses: Sequence[str],
    reference: str,
    clusters: pl.DataFrame,
    resampled: Mapping[str, Any],
) -> dict[tuple[str, str], str]:
    """The differences of the losses to a reference, as text: (loss, measure) -> cell."""
    compared = per_query.filter(pl.col("system").is_in([*losses, reference]))
    return {
        (row["system"], row["measure"]): f"{interval(row['difference'], row['low'], row['high'])}, "
        f"p {p_value(row['p_holm'])}"
        for row in statistics.differences(compared, reference, clusters, **resampled).rows(named=True)
        if row["difference"] is not None
    }


def seconds_of(cpu_seconds: Sequence[float]) -> str:
    """The mean of the trainings, or a dash where none is known.

    >>> seconds_of([60.0, 63.0]), seconds_of([])
    ('62', '-')
    """
    return f"{sum(cpu_seconds) / len(cpu_seconds):.0f}" if cpu_seconds else "-"


def docids_table(
    statistics: Mapping[str, Mapping[str, float]],
    cpu_seconds: Mapping[str, Sequence[float]],
    beam_recall: Mapping[str, float | None],
    seen: pl.DataFrame,
) -> list[dict[str, str]]:
    """A row for each system about its docIDs: their size, their search, and nDCG@10 where training has seen documents.

    statistics: of the catalogue, as the stage `docids` writes them. cpu_seconds: of that stage, if known. seen: of
    `arrange.evaluation.evaluation`, the groups by whether the best documents are in training lists.
    """
    return [
        {
            "": system,
            "tokens": f"{found['mean_depth']:.1f} (at most {found['max_depth']:.0f})",
            "nodes": f"{found['nodes']:.0f}",
            "told apart by a number": f"{found['collisions']:.0f}",
            "bytes a docID": f"{found['bytes_per_docid']:.0f}",
            "CPU s to make": seconds_of(cpu_seconds[system]),
            "beam recall": "-" if (recall := beam_recall[system]) is None else f"{recall:.3f}",
            **{f"nDCG@10, {group} seen": _of_group(seen, system, group) for group in ("all", "some", "none")},
        }
        for system, found in statistics.items()
    ]


def _of_group(seen: pl.DataFrame, system: str, group: str) -> str:
    rows = seen.filter(system=system, group=group)
    return f"{rows['mean'][0]:.3f} of {rows['queries'][0]}" if len(rows) else "-"


def beam_recall(results: Path, rankers: Iterable[str]) -> float | None:
    """The share of the exact best documents that beams found, over a system's rankers; None if none was diagnosed."""
    notes = [json.loads((results / f"{ranker}.diagnostics.json").read_text()) for ranker in rankers]
    found = [each["beam_recall"] for each in notes if each.get("beam_recall") is not None]
    return sum(found) / len(found) if found else None


def validated(
    results: Path, trained: Mapping[str, Mapping[int, str]], per_query: pl.DataFrame, arguments: Mapping[str, Any]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The candidates and the checkpoints of `arrange.evaluation.selection`, from the histories of the trainings.

    results: the folder of a data set's results. trained: the rankers of each system by their seeds. arguments: of the
    trainings, as `kept_value` takes them.
    """
    scores = per_query.group_by("system", "seed").agg(score=pl.col("nDCG@10").mean())
    candidates, checkpoints = [], []
    for system, seeds in trained.items():
        for seed, ranker in seeds.items():
            history = pl.read_csv(results / f"{ranker}.history.csv", infer_schema_length=None)
            candidates.append((system, seed, *(kept_value(history, column, arguments) for column in VALIDATED)))
            if set(VALIDATED) <= set(history.columns):
                rows = history.filter(pl.col("step") > 0).select("step", *VALIDATED).rows()
                checkpoints += [(system, seed, *row) for row in rows]
    keys: dict[str, type[pl.DataType]] = {"system": pl.String, "seed": pl.Int64}
    kept: dict[str, type[pl.DataType]] = {"nll": pl.Float64, "quality": pl.Float64}
    of_kept = pl.DataFrame(candidates, keys | kept, orient="row").join(scores, on=["system", "seed"], how="left")
    return of_kept, pl.DataFrame(checkpoints, keys | {"step": pl.Int64} | kept, orient="row")
