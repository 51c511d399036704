"""How a flow run ends: a table on the terminal, a table and the report in Prefect, and where to look next."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed
from rich.table import Table

from arrange.formats import interval, markdown, p_value
from flows.show import console
from flows.stages import Place

FULLER_FIRST = {"report": "reports", "ranking_report": "rankings", "activations_report": "activations/report"}
TableOf = Callable[[Path, Mapping[str, Any]], tuple[str, list[dict[str, Any]]]]  # of a run's folder and sections
SHOWN = ("nDCG@10", "overlap@1", "overlap@3", "R@10", "tau_b")


def conclude(place: Place, sections: Mapping[str, Any], states: Mapping[str, State], table: TableOf) -> State:
    """Show the results of a finished run; its final state says what was run, restored and reused."""
    if any(stage.startswith("evaluate@") for stage in states):
        title, rows = table(place.root, sections)
        show_table(title, rows)
        create_table_artifact(rows, key="results", description=title)
    if "transfer" in states:
        title = "Portfolios of activations: mean log-ratio of errors (below 0 is better), p after Holm"
        show_table(title, portfolios(place.root / "activations" / "transfer" / "portfolios.parquet"))
    report = next((place.root / path / "report.md" for stage, path in FULLER_FIRST.items() if stage in states), None)
    outcomes = markdown(
        ["stage", "", ""], [[stage, str(state.name), str(state.message)] for stage, state in states.items()]
    )
    create_markdown_artifact(f"{report.read_text()}\n\n{outcomes}" if report else outcomes, key="report")
    counts = Counter(str(state.name) for state in states.values())
    message = ", ".join(f"{counts[name]} {name.lower()}" for name in ("Ran", "Restored", "Reused") if counts[name])
    lines = [f"Stages: {message}."]
    lines += [f"Report: {report.with_suffix('.html').relative_to(Path.cwd())}"] if report else []
    lines += ["Next:   make ui (browse the runs), make help", f"Again:  {place.env['ARRANGE_COMMAND']}"]
    return Completed(message="\n".join(lines))


def means(root: Path, sections: Mapping[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    """The title and the rows of the table of all systems of all data sets."""
    rows = [
        {"data": data, "system": system} | {name: measures[name]["mean"] for name in SHOWN}
        for data in sections["datasets"]
        for system, measures in json.loads((root / "results" / data / "metrics.json").read_text()).items()
    ]
    return f"Means over the {sections['rank']['split']} queries", rows


def show_table(title: str, rows: list[dict[str, Any]]) -> None:
    """Rows of the same columns on the terminal, or that there are none."""
    if not rows:
        console.print(f"{title}: none", markup=False)
        return
    table = Table(*rows[0], title=title)
    for row in rows:
        table.add_row(*(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()))
    console.print(table)


def portfolios(path: Path) -> list[dict[str, str]]:
    """What the portfolios are worth on what no search saw."""
    return [
        {
            "on": row["group"],
            "portfolio": row["activation"],
            "against": row["rival"],
            "log-ratio": interval(row["log_ratio"], row["low"], row["high"]),
            "p": p_value(row["p_holm"]),
        }
        for row in pl.read_parquet(path).rows(named=True)
    ]
