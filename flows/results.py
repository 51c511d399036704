"""How a flow run ends: a table on the terminal, a table and the report in Prefect, and where to look next."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import polars as pl
import yaml
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed
from rich.table import Table

from arrange.formats import interval, markdown, p_value
from flows.show import console
from flows.workspace import Workspace
from records import store
from settings import params

REPORTS = {"report": "reports/report.md", "present": "activations/report/report.md"}  # by stage, the fuller one first
SHOWN = ("nDCG@10", "overlap@1", "overlap@3", "R@10", "tau_b")


def conclude(workspace: Workspace, states: Mapping[str, State], again: str) -> State:
    """Show the results of a finished run; its final state says what was run, restored and reused."""
    if any(stage.startswith("evaluate@") for stage in states):
        settings = params.read(workspace.root / params.PARAMS)
        rows = [row for data in settings.datasets for row in table_rows(workspace.root, data)]
        title = f"Means over the {settings.rank.split} queries"
        show_table(title, rows)
        create_table_artifact(rows, key="results", description=title)
    if "transfer" in states:
        show_winners(pl.read_parquet(workspace.root / "activations" / "transfer" / "winners.parquet"))
    links = mlflow_links(workspace)
    outcomes = outcome_table(states, links)
    report = next((workspace.root / path for stage, path in REPORTS.items() if stage in states), None)
    create_markdown_artifact(f"{report.read_text()}\n\n{outcomes}" if report else outcomes, key="report")
    counts = Counter(str(state.name) for state in states.values())
    message = ", ".join(f"{counts[name]} {name.lower()}" for name in ("Ran", "Restored", "Reused") if counts[name])
    return Completed(message=f"Stages: {message}.\n{next_steps(workspace, report, again)}")


def mlflow_links(workspace: Workspace) -> dict[str, str]:
    """Where an MLflow server shows each stage's run; nothing where a file has the records."""
    uri = store.address().rstrip("/")
    if not uri.startswith("http"):
        return {}
    from mlflow import MlflowClient  # takes seconds, and only a server has pages

    from tasks import track

    client = MlflowClient(tracking_uri=uri)
    experiment = track.experiment_id(client)
    lock = yaml.safe_load((workspace.root / "dvc.lock").read_text())["stages"]
    runs = {stage: track.find_logged(client, experiment, track.stage_hash(entry)) for stage, entry in lock.items()}
    return {stage: f"{uri}/#/experiments/{experiment}/runs/{run}" for stage, run in runs.items() if run}


def table_rows(root: Path, data: str) -> list[dict[str, str | float | None]]:
    """One row per system of a data set."""
    systems = json.loads((root / "results" / data / "metrics.json").read_text())
    return [
        {"data": data, "system": system} | {name: measures[name]["mean"] for name in SHOWN}
        for system, measures in systems.items()
    ]


def show_table(title: str, rows: list[dict[str, str | float | None]]) -> None:
    """The results on the terminal."""
    table = Table(title=title)
    for name in ("data", "system", *SHOWN):
        table.add_column(name, justify="right" if name in SHOWN else "left")
    for row in rows:
        table.add_row(*(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()))
    console.print(table)


def show_winners(winners: pl.DataFrame) -> None:
    """On the terminal: what the searches' winners are worth on what no search saw."""
    table = Table(title="Winners of the searches: mean log-ratio of errors (below 0 is better), p after Holm")
    for name in ("on", "winner", "against", "log-ratio", "p"):
        table.add_column(name)
    for row in winners.rows(named=True):
        ratio = interval(row["log_ratio"], row["low"], row["high"])
        table.add_row(row["group"], row["activation"], row["rival"], ratio, p_value(row["p_holm"]))
    if len(winners):
        console.print(table)


def outcome_table(states: Mapping[str, State], links: Mapping[str, str]) -> str:
    """What became of each stage, in Markdown, with a link to its run in MLflow."""
    rows = [
        [stage, str(state.name), str(state.message), f"[MLflow]({links[stage]})" if stage in links else ""]
        for stage, state in states.items()
    ]
    return markdown(["stage", "", "", ""], rows)


def next_steps(workspace: Workspace, report: Path | None, again: str) -> str:
    """Where the report is, and the commands that come next."""
    more = "make run PRESET=standard                   the whole noun hierarchy, a night"
    if report and report.is_relative_to(workspace.root / "activations"):
        more = "make activations PRESET=thorough           five seeds of each arm: hours"
    return "\n".join(
        [
            *([f"Report: {report.with_suffix('.html').relative_to(workspace.home)}"] if report else []),
            "Next:   make ui                                    browse the runs",
            '        make run SET="losses.item.alpha=2"         change a parameter (params.yaml has them all)',
            f"        {more}",
            f"Again:  {again}",
        ]
    )
