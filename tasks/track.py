"""Stage `track`: writes to MLflow what the other stages left: parameters, metrics by step, files.

A stage's state is named by the hash of its entry in dvc.lock. One that MLflow has already is linked, not
logged again, so this can be repeated at will; a run in which nothing was new leaves no trace.
"""

import csv
import hashlib
import json
import os
import socket
import subprocess
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from dvc.repo import Repo
from dvc.stage import PipelineStage
from mlflow import MlflowClient, MlflowException
from mlflow.entities import Metric, Param
from networkx import descendants
from requests import RequestException

from arrange.errors import UserError
from arrange.report.cost import with_cost
from records import register, store
from settings import params
from tasks import stage

EXPERIMENT = "arrange"
LARGEST_ARTIFACT = 5_000_000  # bytes; models stay in DVC's cache
LONGEST_NOTE = 5000  # characters: MLflow refuses tags above 8000


def track(status: str = "FINISHED") -> None:
    """Log the stages of dvc.lock that MLflow lacks, below one parent run; link the others."""
    store.check_server()
    try:
        log_all(MlflowClient(tracking_uri=store.address()), status)
    except (MlflowException, RequestException):
        store.check_server()  # a server that has gone is no bug; MLflow has tried for minutes
        raise


def log_all(client: MlflowClient, status: str) -> None:
    """What `track` does, with the store at hand."""
    experiment = experiment_id(client)
    close_abandoned(client, experiment)
    lock = yaml.safe_load(Path("dvc.lock").read_text())["stages"]
    with Repo() as repo:
        stages = done_stages(repo, lock)
        hashes = {name: stage_hash(lock[name]) for name in stages}
        logged = {name: find_logged(client, experiment, key) for name, key in hashes.items()}
        if new := [name for name, run in logged.items() if run is None]:
            reused = {name: run for name, run in logged.items() if run}
            made = {out.def_path for done in stages.values() for out in done.outs}
            parent = start_parent(client, experiment, logged, reused, made, begin(new))
            for name in new:
                logged[name] = log_child(client, experiment, parent, stages[name], lock[name], hashes[name])
            if "reports" in made:
                log_files(client, parent, Path("reports"))
                log_page(client, parent, new)
            client.set_terminated(parent, status)
        for name, run in logged.items():
            if name.startswith("export@") and run:  # also those that an interrupted recording left out
                register.register(client, run, Path(stages[name].outs[0].fspath))


def done_stages(repo: Repo, lock: Mapping[str, Any]) -> dict[str, PipelineStage]:
    """The stages with a state to log: `is_done`, and so are all that they wait for.

    What comes after a change keeps its old outputs until it runs again, and belongs to no run with the new parameters.
    """
    stages = [each for each in repo.index.stages if isinstance(each, PipelineStage)]
    stale = {each for each in stages if not is_done(each, lock)}
    return {each.name: each for each in stages if not stale & {each, *descendants(repo.index.graph, each)}}


def is_done(candidate: PipelineStage, lock: Mapping[str, Any]) -> bool:
    """Whether a stage's entry in the lock is of the command, parameters, dependencies and outputs that are there."""
    recorded = candidate.name in lock and candidate.name != "track" and not candidate.cmd_changed
    return recorded and not any(each.status() for each in (*candidate.deps, *candidate.outs))


def experiment_id(client: MlflowClient) -> str:
    """The project's experiment, made on first use; artifacts of the local store lie beside it.

    Raises UserError where a server has the artifacts, and the store is asked without it.
    """
    found = client.get_experiment_by_name(EXPERIMENT)
    local = not store.tracking_uri().startswith("http")
    if found and local and found.artifact_location.startswith("mlflow-artifacts:"):
        raise UserError(
            f"the files of {store.redacted(store.tracking_uri())} were given to an MLflow server",
            "let MLFLOW_TRACKING_URI name that server, or another store",
        )
    if found:
        return found.experiment_id
    location = (store.home() / "mlartifacts").as_uri() if local else None
    # without the tag the UI takes training for the evaluation of a language model
    return client.create_experiment(EXPERIMENT, location, {"mlflow.experimentKind": "custom_model_development"})


def close_abandoned(client: MlflowClient, experiment: str) -> None:
    """Mark as killed what an interrupted recording in this folder left running, and what it had below that.

    All of it is logged again then, below a parent that is whole.
    """
    for run in client.search_runs([experiment], "attributes.status = 'RUNNING'"):
        if run.data.tags.get("workspace") == workspace():
            below = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'")
            for each in [*below, run]:  # the parent last: this may be interrupted, too
                client.set_terminated(each.info.run_id, "KILLED")


def find_logged(client: MlflowClient, experiment: str, key: str) -> str | None:
    """The run that holds this state of a stage, if there is one."""
    runs = client.search_runs([experiment], f"tags.stage_hash = '{key}' and attributes.status = 'FINISHED'")
    return runs[0].info.run_id if runs else None


def begin(names: Iterable[str]) -> int:
    """When the first of these stages started, in milliseconds; now, if none has left a record."""
    return int(min(stage.read_record(name).get("started", time.time()) for name in names) * 1000)


def start_parent(
    client: MlflowClient,
    experiment: str,
    names: Iterable[str],
    reused: Mapping[str, str],
    made: Collection[str],
    started: int,
) -> str:
    """The run of this pipeline run, with all parameters, what was `made` and links to the reused stages' runs."""
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
        "data_source": data_sources(client, reused, names),
        **{f"reused.{name}": run for name, run in reused.items()},
    }
    tags["mlflow.note.content"] = note(experiment, reused, tags["flow_run_url"], "reports" in made)
    name = f"pipeline {time.strftime('%Y-%m-%d %H:%M')}"
    run = client.create_run(experiment, start_time=started, tags=tags, run_name=name)
    log_params(client, run.info.run_id, {key: value for key, value in params.load().items() if key != "presets"})
    for path in sorted(path for path in map(Path, made) if path.match("results/*/metrics.json")):
        log_metrics(client, run.info.run_id, {path.parent.name: means(json.loads(path.read_text()))})
    return run.info.run_id


def note(experiment: str, reused: Mapping[str, str], flow_run: str, reported: bool) -> str:
    """What MLflow's page shows of the run, in Markdown: a link to the flow run, the report, links to reused stages."""
    links = "".join(f"\n- [{name}](#/experiments/{experiment}/runs/{run})" for name, run in sorted(reused.items()))
    parts = [
        f"[The flow run in Prefect]({flow_run})" if flow_run else "",
        Path("reports/report.md").read_text()[:LONGEST_NOTE] if reported else "",
        f"Reused stages:{links}" if links else "",
    ]
    return "\n\n".join(part for part in parts if part)


def means(metrics: Mapping[str, Mapping[str, Mapping[str, float]]]) -> dict[str, dict[str, float]]:
    """Of each system's measures the mean alone; the intervals are with the stage that made them."""
    return {system: {name: value["mean"] for name, value in row.items()} for system, row in metrics.items()}


def data_sources(client: MlflowClient, reused: Mapping[str, str], names: Iterable[str]) -> str:
    """Where the data came from: as noted by the stages that fetched or made it, now or when they last ran."""
    found = set()
    for name in names:
        if name in reused:
            found.add(client.get_run(reused[name]).data.tags.get("data_source"))
        else:
            found.add(stage.read_record(name).get("notes", {}).get("data_source"))
    return "; ".join(sorted(source for source in found if source))


def log_child(
    client: MlflowClient,
    experiment: str,
    parent: str,
    done: PipelineStage,
    entry: Mapping[str, Any],
    key: str,
) -> str:
    """One run for one stage's state; its hash is set last, so that a half-written run is never linked."""
    record = stage.read_record(done.name)
    started = int(record.get("started", time.time()) * 1000)
    tags = {"mlflow.parentRunId": parent, "workspace": workspace(), "stage": done.name}
    tags |= {name: str(value) for name, value in record.get("notes", {}).items()}
    run = client.create_run(experiment, start_time=started, tags=tags, run_name=done.name).info.run_id
    log_params(client, run, entry.get("params", {}).get("params.yaml", {}))
    if "seconds" in record:
        log_metrics(client, run, {"seconds": record["seconds"]})
    for out in done.outs:
        path = Path(out.fspath)
        if out.metric:
            log_metrics(client, run, json.loads(path.read_text()))
        if out.plot and path.suffix == ".csv":
            log_history(client, run, path)
        log_files(client, run, path)
    if done.name.startswith("search@"):
        log_generations(client, experiment, run, Path(done.outs[0].fspath))
    client.set_tag(run, "stage_hash", key)
    client.set_terminated(run, end_time=started + int(record.get("seconds", 0) * 1000) if record else None)
    return run


def log_generations(client: MlflowClient, experiment: str, search: str, folder: Path) -> None:
    """Of a search's run, a run for each of its generations and the curves over them."""
    table = folder / "generations.csv"
    with table.open() as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        tags = {"mlflow.parentRunId": search, "workspace": workspace()}
        run = client.create_run(experiment, tags=tags, run_name=f"generation {row['generation']}").info.run_id
        log_metrics(client, run, {name: float(value) for name, value in row.items() if value})
        client.set_terminated(run)
    log_history(client, search, table, step="generation")


def log_page(client: MlflowClient, parent: str, new: Iterable[str]) -> None:
    """The report's page with what each stage that ran has cost: outputs can't hold it, it differs from run to run."""
    page = Path("reports", "report.html")
    seconds = {name: stage.read_record(name).get("seconds") for name in new}
    if page.exists():
        ran = {name: value for name, value in seconds.items() if value is not None}
        client.log_text(parent, with_cost(page.read_text(), ran), "reports/report.html")


def log_params(client: MlflowClient, run: str, nested: Mapping[str, Any]) -> None:
    """Nested parameters as dotted names, in batches of MLflow's limit."""
    flat = [Param(store.clean(name), store.redacted(str(value))[:6000]) for name, value in store.flatten(nested)]
    for start in range(0, len(flat), 100):
        client.log_batch(run, params=flat[start : start + 100])


def log_metrics(client: MlflowClient, run: str, nested: Mapping[str, Any]) -> None:
    """The numbers of a nested dictionary; lists and words are in the file, which is logged too."""
    now = int(time.time() * 1000)
    numbers = [(name, value) for name, value in store.flatten(nested) if isinstance(value, (int, float))]
    log_points(client, run, [Metric(store.clean(name), float(value), now, 0) for name, value in numbers])


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
    log_points(client, run, points)


def log_points(client: MlflowClient, run: str, points: Sequence[Metric]) -> None:
    """Points of metrics, in batches of MLflow's limit."""
    for start in range(0, len(points), 1000):
        client.log_batch(run, metrics=points[start : start + 1000])


def log_files(client: MlflowClient, run: str, path: Path) -> None:
    """A file, or the files of a folder, as artifacts; large ones stay where DVC has them."""
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    for file in files:
        if file.stat().st_size <= LARGEST_ARTIFACT:
            inner = "" if path.is_file() else str(Path(path.name, file.parent.relative_to(path)))
            client.log_artifact(run, str(file), inner or None)


def stage_hash(entry: Mapping[str, Any]) -> str:
    """The identity of a stage's state: command, dependencies, parameters and outputs, by their hashes."""
    return hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()


def workspace() -> str:
    """The folder that this pipeline works in, and its machine: others that record here may have one of that path."""
    return f"{socket.gethostname()}:{Path.cwd()}"


def git(*words: str) -> str:
    """Output of a git command, empty where git has nothing to say (a DVC experiment's temporary folder)."""
    return subprocess.run(["git", *words], capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    stage.run(track)
