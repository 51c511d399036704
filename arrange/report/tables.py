"""Results of rankers as tables in Markdown: measures, differences, groups of queries, search diagnostics."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from arrange.evaluation import prior
from arrange.evaluation.measures import MEASURES
from arrange.evaluation.statistics import Metrics
from arrange.formats import interval, markdown, p_value

DIAGNOSTICS = {
    "beam_recall": "share of the exact best documents that beam search finds",
    "proven": "share of queries whose exact answer is proven",
    "outside": "probability of what is no docID of the catalogue, a lower bound",
    "invalid_share": "share of the sequences of an unconstrained beam search that are no docIDs",
    "invalid_mass": "probability of these sequences",
}


def measures_table(metrics: Metrics, measures: Sequence[str]) -> str:
    """Systems as rows and measures as columns; see `cell`."""
    rows = ([system, *(cell(row[name]) for name in measures)] for system, row in metrics.items())
    return markdown(["", *measures], rows)


def cell(value: Mapping[str, Any]) -> str:
    """`0.512 (0.490-0.534)`, with ` ±0.012` for a spread over seeds, or a dash where no query has the measure.

    >>> cell({"mean": -0.096, "low": -0.149, "high": -0.042})
    '-0.096 (-0.149 to -0.042)'
    """
    if value["mean"] is None:
        return "-"
    spread = value.get("spread")
    to = "-" if value["low"] >= 0 else " to "
    text = f"{value['mean']:.3f} ({value['low']:.3f}{to}{value['high']:.3f})"
    return text if spread is None else f"{text} ±{spread:.3f}"


def definitions_table(names: Iterable[str]) -> str:
    """What the columns of a table of measures mean: measure, definition, source, which direction is better."""
    definitions = {name: {**MEASURES, **prior.DEFINITIONS}[name] for name in names}
    rows = ([name, one.text, one.source or "-", one.better] for name, one in definitions.items())
    return markdown(["measure", "definition", "source", "better is"], rows, left=(1, 2))


def differences_table(differences: pl.DataFrame, measures: Sequence[str]) -> str:
    """Systems as rows, their differences to the reference as cells: `+0.031 (+0.012 to +0.050), p 0.004`.

    `differences` is the table of `statistics.differences`; p is the one after Holm. A dash: no query has both values.
    """
    rows = []
    for (system,), of_system in differences.group_by("system", maintain_order=True):
        values = {row["measure"]: row for row in of_system.rows(named=True)}
        rows.append([str(system), *(_difference(values[name]) for name in measures)])
    return markdown(["", *measures], rows)


def _difference(value: Mapping[str, Any]) -> str:
    if value["difference"] is None:
        return "-"
    return f"{interval(value['difference'], value['low'], value['high'])}, p {p_value(value['p_holm'])}"


def correlations_table(correlations: pl.DataFrame) -> str:
    """The table of `statistics.correlations`."""
    rows = correlations.select("system", "checkpoints", "spearman").rows()
    cells = ([system, str(count), "-" if value is None else f"{value:+.2f}"] for system, count, value in rows)
    return markdown(["", "checkpoints", "Spearman"], cells)


def groups_tables(groups: pl.DataFrame) -> dict[str, str]:
    """nDCG@10 of each system within groups of queries, a table for each grouping that has several groups.

    `groups` is the table `groups` of `arrange.evaluation.evaluation`.
    """
    several = groups.filter(pl.col("group").n_unique().over("grouping") > 1)
    return {
        str(grouping): _groups_table(part) for (grouping,), part in several.group_by("grouping", maintain_order=True)
    }


def _groups_table(groups: pl.DataFrame) -> str:
    counts = groups.select("group", "queries").unique().sort("group").rows()
    names = {group: f"{group} ({queries})" for group, queries in counts}
    rows = {
        str(system): {names[row["group"]]: row for row in part.rows(named=True)}
        for (system,), part in groups.group_by("system", maintain_order=True)
    }
    return measures_table(rows, list(names.values()))


def diagnostics_table(diagnostics: Mapping[str, Mapping[str, float | None]]) -> str:
    """Rankers as rows, their search diagnostics as columns; see DIAGNOSTICS."""
    rows = ([name, *(_number(values[column]) for column in DIAGNOSTICS)] for name, values in diagnostics.items())
    return markdown(["", *DIAGNOSTICS], rows)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
