"""Writes to MLflow what the stages left: parameters, metrics by step, files.

A stage's state that MLflow has already is linked, not logged again. So recording can be repeated at will, and a run in
which nothing was new leaves no trace.
"""

import csv
import json
import os
import socket
import subprocess
import time
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from dvc.repo import Repo
from dvc.stage import PipelineStage
from dvc.utils.flatten import flatten
from mlflow import MlflowClient
from mlflow.entities import Metric, Param

from records import store
from records.opening import as_user_errors, opened
from records.states import done_stages, read_lock, read_record, stage_hash
from settings import params

LARGEST_ARTIFACT = 5_000_000  # bytes; models stay in DVC's cache
LONGEST_PARAM = 6000  # characters, as MLflow has it
LONGEST_NOTE = 5000  # characters: MLflow refuses tags above 8000


@as_user_errors()
def log(status: str) -> None:
    """Log the stages of dvc.lock that MLflow lacks below one parent run, which ends with `status`; link the others."""
    client = opened()
    experiment = store.experiment_id(client)
    close_abandoned(client, experiment)
    lock = read_lock(Path())
    with Repo() as repo:
        stages = done_stages(repo, lock)
        hashes = {name: stage_hash(lock[name]) for name in stages}
        logged = {name: store.find_logged(client, experiment, key) for name, key in hashes.items()}
        if new := [name for name, run in logged.items() if run is None]:
            reused = {name: run for name, run in logged.items() if run}
            outs = {out.def_path for stage in stages.values() for out in stage.outs}
            parent = start_parent(client, experiment, new, reused, outs)
            for name in new:
                logged[name] = log_stage(client, experiment, parent, stages[name], lock[name], hashes[name])
            if page := page_of(outs):
                log_files(client, parent, page)
            client.set_terminated(parent, status)
        for name, run in logged.items():
            if name.startswith("export@") and run:  # also those that an interrupted recording left out
                register_export(client, run, Path(stages[name].outs[0].fspath))


def register_export(client: MlflowClient, run: str, folder: Path) -> None:
    """Register an exported ranker, unless its run says that this was done."""
    if "registered" not in client.get_run(run).data.tags:
        from records import register  # imports torch, for seconds

        register.register(client, run, folder)
        client.set_tag(run, "registered", "yes")


def close_abandoned(client: MlflowClient, experiment: str) -> None:
    """Mark as killed what an interrupted recording in this folder left running; it is logged again then."""
    for run in client.search_runs([experiment], "attributes.status = 'RUNNING'"):
        if run.data.tags.get("workspace") == workspace():
            client.set_terminated(run.info.run_id, "KILLED")


def start_parent(
    client: MlflowClient, experiment: str, new: Collection[str], reused: Mapping[str, str], outs: Collection[str]
) -> str:
    """The run of this pipeline run: all parameters, the means of the results, and links to the reused stages' runs.

    It began when the first of the `new` stages did, as far as these have left a record. `outs` are the stages' outputs.
    """
    tags = {
        "workspace": workspace(),
        "git_commit": git("rev-parse", "HEAD"),
        # parameters and dvc.lock are recorded on their own, and a run may well change them
        "git_dirty": str(bool(git("status", "--porcelain", ".", ":!params.yaml", ":!dvc.lock"))).lower(),
        "preset": os.environ.get("ARRANGE_PRESET", ""),
        "overrides": store.redacted(os.environ.get("ARRANGE_OVERRIDES", "")),
        "started_by": os.environ.get("ARRANGE_STARTED_BY", "dvc repro"),
        "flow_run_url": store.redacted(os.environ.get("ARRANGE_FLOW_RUN_URL", "")),
        "command": store.redacted(os.environ.get("ARRANGE_COMMAND", "dvc repro")),
        "data_source": data_sources(client, new, reused.values()),
        **{f"reused.{name}": run for name, run in reused.items()},
    }
    tags["mlflow.note.content"] = note(experiment, reused, tags["flow_run_url"], page_of(outs))
    began = min(read_record(name).get("started", time.time()) for name in new)
    name = f"pipeline {time.strftime('%Y-%m-%d %H:%M')}"
    run = client.create_run(experiment, start_time=int(began * 1000), tags=tags, run_name=name).info.run_id
    log_params(client, run, {key: value for key, value in params.load().items() if key != "presets"})
    for path in sorted(path for path in map(Path, outs) if path.match("results/*/metrics.json")):
        systems = json.loads(path.read_text())
        means = {system: {name: each["mean"] for name, each in row.items()} for system, row in systems.items()}
        log_metrics(client, run, {path.parent.name: means})
    return run


def page_of(outs: Collection[str]) -> Path | None:
    """The folder of the run's report, the fuller one where there are two."""
    return next((Path(name) for name in ("reports", "rankings") if name in outs), None)


def note(experiment: str, reused: Mapping[str, str], flow_run: str, page: Path | None) -> str:
    """What MLflow's page shows of the run, in Markdown: a link to the flow run, the report, links to reused stages."""
    links = "".join(f"\n- [{name}](#/experiments/{experiment}/runs/{run})" for name, run in sorted(reused.items()))
    parts = [
        f"[The flow run in Prefect]({flow_run})" if flow_run else "",
        (page / "report.md").read_text()[:LONGEST_NOTE] if page else "",
        f"Reused stages:{links}" if links else "",
    ]
    return "\n\n".join(part for part in parts if part)


def data_sources(client: MlflowClient, new: Iterable[str], reused: Iterable[str]) -> str:
    """Where the data came from, as noted by the stages that fetched or made it, now or when they last ran."""
    sources = {read_record(name).get("notes", {}).get("data_source") for name in new}
    sources |= {client.get_run(run).data.tags.get("data_source") for run in reused}
    return "; ".join(sorted(source for source in sources if source))


def log_stage(
    client: MlflowClient, experiment: str, parent: str, stage: PipelineStage, entry: Mapping[str, Any], key: str
) -> str:
    """The run of one stage's state; its hash `key` is set last, so that a half-written run is never linked."""
    record = read_record(stage.name)
    started = int(record.get("started", time.time()) * 1000)
    tags = {"mlflow.parentRunId": parent, "workspace": workspace(), "stage": stage.name}
    tags |= {name: str(value) for name, value in record.get("notes", {}).items()}
    run = client.create_run(experiment, start_time=started, tags=tags, run_name=stage.name).info.run_id
    log_params(client, run, entry.get("params", {}).get("params.yaml", {}))
    measured: tuple[str, ...] = ("seconds", "cpu_seconds")
    if cost := {name: record[name] for name in measured if name in record}:
        log_metrics(client, run, cost)
    for out in stage.outs:
        path = Path(out.fspath)
        if out.metric:
            log_metrics(client, run, json.loads(path.read_text()))
        if out.plot and path.suffix == ".csv":
            log_history(client, run, path)
        if (path / "generations.csv").exists():  # of a search
            log_history(client, run, path / "generations.csv", step="generation")
        log_files(client, run, path)
    client.set_tag(run, "stage_hash", key)
    client.set_terminated(run, end_time=started + int(record.get("seconds", 0) * 1000) if record else None)
    return run


def log_params(client: MlflowClient, run: str, nested: Mapping[str, Any]) -> None:
    """Nested parameters by their dotted names."""
    flat = flatten(nested).items()
    client.log_batch(
        run, params=[Param(store.clean(name), store.redacted(str(value))[:LONGEST_PARAM]) for name, value in flat]
    )


def log_metrics(client: MlflowClient, run: str, nested: Mapping[str, Any]) -> None:
    """The numbers of a nested dictionary; lists and words are in the file, which is logged too."""
    now = int(time.time() * 1000)
    numbers = [(name, value) for name, value in flatten(nested).items() if isinstance(value, (int, float))]
    client.log_batch(run, metrics=[Metric(store.clean(name), float(value), now, 0) for name, value in numbers])


def log_history(client: MlflowClient, run: str, path: Path, step: str = "step") -> None:
    """A table with a column of steps: every other column is a metric by step; empty cells are left out."""
    now = int(time.time() * 1000)
    with path.open() as file:
        points = [
            Metric(store.clean(name), float(value), now, int(row[step]))
            for row in csv.DictReader(file)
            for name, value in row.items()
            if name != step and value
        ]
    client.log_batch(run, metrics=points)


def log_files(client: MlflowClient, run: str, path: Path) -> None:
    """A file, or the files of a folder, as artifacts; large ones stay where DVC has them."""
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    for file in files:
        if file.stat().st_size <= LARGEST_ARTIFACT:
            inner = "" if path.is_file() else str(Path(path.name, file.parent.relative_to(path)))
            client.log_artifact(run, str(file), inner or None)


def workspace() -> str:
    """The folder that this pipeline works in, and its machine: others that record here may have one of that path."""
    return f"{socket.gethostname()}:{Path.cwd()}"


def git(*words: str) -> str:
    """Output of a git command, empty where git has nothing to say (a DVC experiment's temporary folder)."""
    return subprocess.run(["git", *words], capture_output=True, text=True).stdout.strip()
