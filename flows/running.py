"""Running the stages of a graph as Prefect tasks, as many at once as may be, here or on a Dask cluster."""

import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.concurrency.asyncio import ConcurrencySlotAcquisitionError
from prefect.futures import PrefectWrappedFuture
from prefect.states import Completed, Failed
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from arrange.errors import UserError
from flows import stages
from flows.show import Rows, say
from flows.supervision import check_server, is_at_work, keep_temporary_server, stopped_by_errors
from tasks.stage import STARTER

ON_GPU = ("finetune", "rank", "swap")  # tagged `gpu`, so that a limit of Prefect's can keep them apart
TRIES = 3  # to start a stage while Prefect's server comes and goes
PAUSE = 0.1  # seconds between two looks at the working stages


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


def run_all(place: Place, names: Sequence[str], parallel: int, cluster: str | None) -> dict[str, State]:
    """Run those of the named stages (each with all its items) that `track` needs; their final states."""
    stages.mend_lock(place.root)
    graph = stages.needed(stages.upstream(place.root), "track")
    waiting = [stage for name in names for stage in graph if stage.split("@")[0] == name]
    before = {stage: [other for other in graph[stage] if other in waiting] for stage in waiting}
    futures: dict[str, PrefectWrappedFuture[State, Any]] = {}
    states: dict[str, State] = {}
    tries: Counter[str] = Counter()
    # the mark goes first: the runner waits for its tasks, and they end without it
    with (
        runner_on(cluster, parallel) as runner,
        Rows(place.root) as rows,
        stopped_by_errors(place.mark, place.flow_run),
    ):
        while waiting or len(states) < len(futures):
            keep_temporary_server()
            ready = [stage for stage in waiting if states.keys() >= set(before[stage])]
            for stage in ready[: parallel - len(futures) + len(states)]:
                waiting.remove(stage)
                rows.expect(stage)
                futures[stage] = submit(runner, stage, place, [futures[other] for other in before[stage]])
            for stage in futures.keys() - states.keys():
                rows.show(stage)
                if futures[stage].wrapped_future.done():
                    if tries[stage] < TRIES and was_turned_away(futures[stage]):
                        check_server()
                        tries[stage] += 1
                        waiting.insert(0, stage)
                        del futures[stage]
                        continue
                    futures[stage].wait()
                    states[stage] = futures[stage].state
                    rows.remove(stage)
                    say(f"{stage}: {summary(states[stage])}")
            time.sleep(PAUSE)
    return {stage: states[stage] for stage in futures}


def was_turned_away(future: PrefectWrappedFuture[State, Any]) -> bool:
    """Whether a task never began its work: a server that is away for a moment has no slot on a GPU to give."""
    try:
        future.wait()
    except ConcurrencySlotAcquisitionError:
        return True
    return False


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


def submit(
    runner: TaskRunner[Any], stage: str, place: Place, after: list[PrefectWrappedFuture[State, Any]]
) -> PrefectWrappedFuture[State, Any]:
    """One stage as a Prefect task."""
    name = stage.split("@")[0]
    step = run_stage.with_options(
        name=name,
        task_run_name=stage,
        retries=2 if name.startswith("download") else 0,
        tags=["gpu"] if name in ON_GPU else [],
    )
    return runner.submit(step, {"stage": stage, "place": place}, wait_for=after)


def summary(state: State) -> str:
    """What became of a stage: reused, "ran in 3 s", failed."""
    word = str(state.name).lower()
    return f"{word} in {state.message}" if word in (stages.RAN.lower(), stages.RESTORED.lower()) else word


@task(cache_policy=NO_CACHE, retry_delay_seconds=5)
def run_stage(stage: str, place: Place) -> State:
    """One stage: reused where DVC finds it unchanged, else run (or restored) by `dvc repro`."""
    try:
        return run_stale(stage, place)
    except Exception as error:  # OSError, or DVC's and sqlite's own names for it
        if problem := stages.problem_of_disk(place.root, str(error)):
            return Failed(message=f"{stage}: {problem}")
        raise


def run_stale(stage: str, place: Place) -> State:
    """What `run_stage` does, on a disk that can be written."""
    if not stages.is_stale(place.root, stage):
        return Completed(name=stages.REUSED, message="nothing that it depends on has changed")
    started = time.monotonic()
    problem, restored = stages.repro(place.root, stage, place.env, place.reason_to_stop)
    if problem:
        return Failed(message=f"{stage}: {problem}")
    name = stages.RESTORED if restored else stages.RAN
    return Completed(name=name, message=f"{time.monotonic() - started:.0f} s")


def record(place: Place, status: str) -> None:
    """Bring MLflow up to date where the stage `track` doesn't: after a failure it never comes, not every flow has it,
    and DVC reuses it when the stages that ran gave the same outputs as before, or when the store is another one."""
    if (place.root / "dvc.lock").exists():
        note_in("MLflow", place, ["tasks.track", status])


def save_experiment(place: Place, names: Iterable[str]) -> None:
    """Keep a run of these stages in DVC: `dvc exp show` lists it, `dvc exp apply` brings it into the checkout."""
    note_in("DVC", place, ["dvc", "exp", "save", "--force", "--name", f"run-{place.root.name}", *names])


def note_in(tool: str, place: Place, words: Sequence[str]) -> None:
    """Run a module that keeps a record; a run that ended well isn't failed for the want of one."""
    log = place.root / "logs" / f"record-{tool}.log"
    log.parent.mkdir(exist_ok=True)  # no stage may have run here: `dvc pull` brings outputs too
    with log.open("w") as file:
        command, env = [sys.executable, "-m", *words], os.environ | place.env | {STARTER: str(os.getpid())}
        done = subprocess.run(command, cwd=place.root, env=env, stdout=file, stderr=file)
    if done.returncode:
        say(f"{tool} has no record of this run: {log} says why")
