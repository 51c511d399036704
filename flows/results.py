"""How a flow run ends: a table on the terminal, a table and the report in Prefect, and where to look next."""

import json
import shlex
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed
from rich.table import Table

from flows.show import console
from flows.workspace import Workspace

SHOWN = ("nDCG@10", "overlap@1", "overlap@3", "R@10", "tau_b")


def conclude(workspace: Workspace, outcomes: Mapping[str, str]) -> State:
    """Show the results of a finished run; its final state says what was run, restored and reused."""
    rows = [row for path in sorted(workspace.root.glob("results/*/metrics.json")) for row in table_rows(path)]
    show_table(rows)
    report = workspace.root / "reports" / "report.md"
    create_table_artifact(rows, key="results", description="means over the test queries")
    create_markdown_artifact(f"{report.read_text()}\n\n{outcome_table(outcomes)}", key="report")
    counts = Counter(outcomes.values())
    message = ", ".join(f"{counts[name]} {name.lower()}" for name in ("Ran", "Restored", "Reused") if counts[name])
    return Completed(message=f"Stages: {message}.\n{next_steps(workspace, report)}")


def table_rows(metrics: Path) -> list[dict[str, str | float | None]]:
    """One row per system of a data set."""
    systems = json.loads(metrics.read_text())
    return [
        {"data": metrics.parent.name, "system": system} | {name: measures[name]["mean"] for name in SHOWN}
        for system, measures in systems.items()
    ]


def show_table(rows: list[dict[str, str | float | None]]) -> None:
    """The results on the terminal."""
    table = Table(title="Means over the test queries")
    for name in ("data", "system", *SHOWN):
        table.add_column(name, justify="right" if name in SHOWN else "left")
    for row in rows:
        table.add_row(*(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()))
    console.print(table)


def outcome_table(outcomes: Mapping[str, str]) -> str:
    """What became of each stage, in Markdown."""
    return "\n".join(["| stage | |", "|---|---|", *(f"| {stage} | {name} |" for stage, name in outcomes.items())])


def next_steps(workspace: Workspace, report: Path) -> str:
    """Where the report is, and the commands that come next."""
    words = [f"PRESET={workspace.preset}"] if workspace.preset else []
    words += [f"SET={shlex.quote(' '.join(workspace.overrides))}"] if workspace.overrides else []
    return "\n".join(
        [
            f"Report: {report.relative_to(workspace.home)}",
            "Next:   make ui                                    browse the runs",
            '        make run SET="losses.item.alpha=2"         change a parameter (params.yaml has them all)',
            "        make run PRESET=standard                   the whole noun hierarchy, a night",
            f"        {' '.join(['make run', *words]):42} this run again",
        ]
    )
