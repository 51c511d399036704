"""Losses compared in one table: means over seeds, differences to some references with their tests, what each cost."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from arrange.evaluation import statistics
from arrange.formats import interval, p_value
from arrange.report.tables import cell

MEASURES = ("nDCG@10", "overlap@3")


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
