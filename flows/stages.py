"""DVC's stages as Prefect tasks: DVC says which are stale and what waits for what, Prefect runs them."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvc.repo import Repo
from dvc.stage import PipelineStage
from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from arrange.errors import UserError
from flows import results
from flows.show import Rows, say, stop_when_told
from flows.workspace import Workspace, opened
from tasks import store
from tasks.stage import end_with_parent

REUSED, RESTORED, RAN = "Reused", "Restored", "Ran"

# DVC learns the umask by setting it to 0 for a moment: two threads at it, or a process that starts just then,
# are left with 0 and write files that everybody may write to.
one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Run:
    """What the stages of one flow run share."""

    workspace: Workspace
    places: threading.Semaphore  # as many as stages may work at once
    rows: Rows
    env: dict[str, str]


def run_flow(names: Sequence[str], preset: str | None, overrides: Mapping[str, Any], parallel: int) -> State:
    """A whole flow run: find the workspace, run the stages in it, record, conclude."""
    stop_when_told()
    try:
        if parallel < 1:
            raise UserError(f"parallel is {parallel}", "let at least 1 stage work at once")
        store.check_server()
        with opened(Path.cwd(), preset, overrides) as workspace, Rows() as rows:
            say(f"works in {workspace.root}, records in {store.tracking_uri()}")
            run = Run(workspace, threading.Semaphore(parallel), rows, environment(workspace))
            states = run_all(run, names)
            failed = [state for state in states.values() if state.is_failed() or state.is_crashed()]
            if failed:
                record(run, "FAILED")
                return Failed(message=failed[0].message)
            outcomes = {stage: str(state.name) for stage, state in states.items()}
            if outcomes["track"] == REUSED:
                record(run, "FINISHED")
            return results.conclude(workspace, outcomes)
    except UserError as error:
        return Failed(message=str(error))


def environment(workspace: Workspace) -> dict[str, str]:
    """What the stages can't know from the workspace's files."""
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",  # DVC's commands say `python`
        "MLFLOW_TRACKING_URI": store.tracking_uri(),
        "ARRANGE_PRESET": workspace.preset or "",
        "ARRANGE_OVERRIDES": " ".join(workspace.overrides),
        "ARRANGE_STARTED_BY": f"flow run {flow_run.id}",
    }


def record(run: Run, status: str) -> None:
    """Bring MLflow up to date where the stage `track` doesn't: after a failure it never comes, and DVC reuses it
    when the stages that ran gave the same outputs as before, or when the store is another one."""
    log = run.workspace.root / "logs" / "record.log"
    if not (run.workspace.root / "dvc.lock").exists():
        return
    with log.open("w") as file:
        command = [sys.executable, "-m", "tasks.track", status]
        done = subprocess.run(command, cwd=run.workspace.root, env=os.environ | run.env, stdout=file, stderr=file)
    if done.returncode:
        say(f"MLflow has no record of this run: {log} says why")


def run_all(run: Run, names: Sequence[str]) -> dict[str, State]:
    """Run those of the named stages (each with all its items) that the last one needs; their final states."""
    graph = needed(upstream(run.workspace.root), names[-1])
    futures: dict[str, PrefectFuture[State]] = {}
    for name in names:
        step = run_stage.with_options(name=name, retries=2 if name.startswith("download") else 0)
        for stage in (stage for stage in graph if stage.split("@")[0] == name):
            wait_for = [futures[other] for other in graph[stage] if other in futures]
            named: Task[..., State] = step.with_options(task_run_name=stage)
            futures[stage] = named.submit(stage, run, wait_for=wait_for)
    for future in futures.values():
        future.wait()
    return {stage: future.state for stage, future in futures.items()}


@task(cache_policy=NO_CACHE, retry_delay_seconds=5)
def run_stage(stage: str, run: Run) -> State:
    """One stage: reused where DVC finds it unchanged, else run (or restored) by `dvc repro`."""
    with run.places:
        if not is_stale(run.workspace.root, stage):
            say(f"{stage}: reused")
            return Completed(name=REUSED, message="nothing that it depends on has changed")
        say(f"{stage}: starts")
        started = time.monotonic()
        with run.rows.row(stage):
            problem, restored = repro(run, stage)
        if problem:
            say(f"{stage}: failed")
            return Failed(message=f"{stage}: {problem}")
        seconds = time.monotonic() - started
        name = RESTORED if restored else RAN
        say(f"{stage}: {name.lower()} in {seconds:.0f} s")
        return Completed(name=name, message=f"{seconds:.1f} s")


def upstream(root: Path) -> dict[str, list[str]]:
    """For each stage of dvc.yaml, in the file's order, the stages that it waits for."""
    with Repo(str(root)) as repo:
        graph, stages = repo.index.graph, pipeline_stages(repo)
        names = {stage: name for name, stage in stages.items()}
        return {
            name: [names[before] for before in graph.successors(stage) if before in names]
            for name, stage in stages.items()
        }


def needed(graph: Mapping[str, list[str]], last: str) -> dict[str, list[str]]:
    """The part of the graph that ends in `last`: data sets that no ranker uses are left alone."""
    found, waiting = set(), [last]
    while waiting:
        stage = waiting.pop()
        found.add(stage)
        waiting += [before for before in graph[stage] if before not in found]
    return {stage: before for stage, before in graph.items() if stage in found}


def pipeline_stages(repo: Repo) -> dict[str, PipelineStage]:
    """The stages of dvc.yaml by name: a file under `dvc add` is a nameless stage too, and none of ours."""
    return {stage.name: stage for stage in repo.index.stages if isinstance(stage, PipelineStage)}


def is_stale(root: Path, stage: str) -> bool:
    """Whether DVC would run `stage` now. A fresh Repo: an old one doesn't see what others wrote."""
    with one_at_a_time, Repo(str(root), _wait_for_lock=True) as repo, repo.lock:
        return pipeline_stages(repo)[stage].changed()


def repro(run: Run, stage: str) -> tuple[str, bool]:
    """`dvc repro` of this stage alone: the problem in two lines ("" if none), and whether it was restored."""
    root = run.workspace.root
    log = root / "logs" / f"{stage}.log"
    log.parent.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", stage]
    progress = root / "state" / stage / "progress.jsonl"
    progress.unlink(missing_ok=True)
    with log.open("w") as file:
        with one_at_a_time:
            process = subprocess.Popen(
                command,
                cwd=root,
                env=os.environ | run.env,
                stdout=file,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                preexec_fn=end_with_parent,
            )
        while process.poll() is None:
            run.rows.show(stage, progress)
            time.sleep(0.2)
    text = log.read_text(errors="replace")
    restored = "is cached - skipping run" in text
    if restored:
        # what an older run noted of itself isn't about these outputs
        (root / "state" / stage / "record.json").unlink(missing_ok=True)
    return (problem_in(text, log) if process.returncode else ""), restored


def problem_in(text: str, log: Path) -> str:
    """The two lines that matter in the log of a failed stage.

    A task prints them itself, as its last words; a crash is told by the exception and the log's place.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    ends = [n for n, line in enumerate(lines) if line.startswith("ERROR: failed to reproduce")]
    own = lines[: ends[0]] if ends else lines
    if any(line.startswith("Traceback (most recent call last)") for line in own):
        return f"{own[-1]}\nthis is a bug; the whole story is in {log}"
    if not own or own[-1].startswith(("> ", "Running stage")):
        return f"it ended without a word (killed, or out of memory?)\nthe log is {log}"
    return "\n".join(own[-2:])
