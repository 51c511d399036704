"""When which stage runs: each as a Prefect task, as many at once as may be, here or on a Dask cluster."""

import shutil
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.futures import PrefectWrappedFuture
from prefect.states import Completed, Failed, Pending
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from arrange.errors import UserError
from flows import servers, stages
from flows.show import Rows, say
from flows.supervision import is_at_work

PAUSE = 0.5  # seconds between two looks at the working stages

Futures = dict[str, PrefectWrappedFuture[State, Any]]


@dataclass(frozen=True)
class Place:
    """Where and how long a stage works: all that it needs, in another process too."""

    root: Path
    env: dict[str, str]
    mark: Path  # the stage works as long as this file names the flow run
    flow_run: str
    ends: float  # in seconds since the epoch

    def reason_to_stop(self) -> str:
        """Two lines, or "" while there is no reason."""
        if not is_at_work(self.mark, self.flow_run):
            return "it was stopped with its flow run\nthe same command goes on from here"
        if time.time() > self.ends:
            return "the run's hours are over\ngive it more (the parameter `hours`); the same command goes on from here"
        return ""


def runner_on(cluster: str | None, parallel: int) -> TaskRunner[Any]:
    """What runs tasks: threads, each of which waits for a process; or the workers of a Dask cluster."""
    if not cluster:
        return ThreadPoolTaskRunner(max_workers=parallel)
    host, _, port = cluster.rpartition("//")[2].rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, ValueError):
        raise UserError(f"no Dask scheduler answers at {cluster}", "start one: docs/scaling.md says how") from None
    try:
        from prefect_dask import DaskTaskRunner
    except ImportError:
        raise UserError("cluster needs the package prefect-dask", "uv pip install prefect-dask==0.3.7") from None
    return DaskTaskRunner(address=cluster)


def run_stages(place: Place, runner: TaskRunner[Any], wanted: stages.Graph, parallel: int) -> dict[str, State]:
    """Run the stages, in the order of dvc.yaml where the graph leaves a choice; their final states."""
    waiting, working, states = list(wanted.before), Futures(), dict[str, State]()
    one_is_done = Event()
    with Rows(place.root) as rows:
        while waiting or working:
            servers.keep_temporary()
            for stage in [*waiting]:
                earlier = [states.get(name) for name in wanted.before[stage]]
                if None in earlier:
                    continue
                if state := without_running(stage in wanted.stale, earlier):
                    states[stage] = state
                    say(f"{stage}: {summary(state)}")
                elif len(working) < parallel:
                    stages.progress_of(place.root, stage).unlink(missing_ok=True)  # an earlier run's
                    working[stage] = submit(runner, stage, place, stage in wanted.with_model)
                    working[stage].wrapped_future.add_done_callback(lambda _: one_is_done.set())
                else:
                    continue
                waiting.remove(stage)
            if working:
                one_is_done.wait(PAUSE)
                one_is_done.clear()
            for stage, future in [*working.items()]:
                rows.show(stage)
                if future.wrapped_future.done():
                    working.pop(stage).wait()
                    states[stage] = future.state
                    rows.remove(stage)
                    say(f"{stage}: {summary(states[stage])}")
    return {stage: states[stage] for stage in wanted.before}


def without_running(is_stale: bool, earlier: Sequence[State | None]) -> State | None:
    """The state of a stage that need not run, or can't for want of an earlier one; None for the others."""
    if not all(state and state.is_completed() for state in earlier):
        return Pending(name="Skipped", message="a stage that it waits for has failed")
    if is_stale or not all(state and state.name == stages.REUSED for state in earlier):
        return None
    return Completed(name=stages.REUSED, message="nothing that it depends on has changed")


def submit(runner: TaskRunner[Any], stage: str, place: Place, has_model: bool) -> PrefectWrappedFuture[State, Any]:
    """One stage as a Prefect task, tagged `gpu` where it uses one, so that a limit of Prefect's can keep them apart."""
    name = stage.partition("@")[0]
    step = run_stage.with_options(
        name=name,
        task_run_name=stage,
        retries=2 if name.startswith("download") else 0,
        tags=["gpu"] if has_model and shutil.which("nvidia-smi") else [],
    )
    return runner.submit(step, {"stage": stage, "place": place})


def summary(state: State) -> str:
    """What became of a stage: reused, "ran in 3 s", failed."""
    word = str(state.name).lower()
    return f"{word} in {state.message}" if state.name in (stages.RAN, stages.RESTORED) else word


@task(cache_policy=NO_CACHE, retry_delay_seconds=5)
def run_stage(stage: str, place: Place) -> State:
    """One stage, by `dvc repro`; a failure has two lines."""
    started = time.monotonic()
    try:
        name, problem = stages.repro(place.root, stage, place.env, place.reason_to_stop)
    except OSError as error:
        name, problem = "", stages.problem_of_disk(place.root, str(error))
        if not problem:
            raise
    if problem:
        return Failed(message=f"{stage}: {problem}")
    return Completed(name=name, message=f"{time.monotonic() - started:.0f} s")
