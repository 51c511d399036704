"""When which stage runs: each as a Prefect task, in a thread that waits for its process, as many at once as may be."""

import shutil
import time
from collections.abc import Sequence
from contextlib import ExitStack

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture, as_completed
from prefect.states import Completed, Failed, Pending
from prefect.task_runners import ThreadPoolTaskRunner

from flows import show, stages
from flows.show import say
from flows.stages import Place


def run_stages(place: Place, wanted: stages.Graph, parallel: int) -> dict[str, State]:
    """Run the stages, in the order of dvc.yaml where the graph leaves a choice; their final states."""
    waiting, working, states = list(wanted.before), dict[PrefectFuture[State], str](), dict[str, State]()
    with ThreadPoolTaskRunner[State](max_workers=parallel) as runner, show.rows(), ExitStack() as at_the_end:
        at_the_end.callback(place.stopping.set)  # before the runner waits for its threads
        while waiting or working:
            for stage in [*waiting]:
                earlier = [states.get(name) for name in wanted.before[stage]]
                if None in earlier:
                    continue
                if state := without_running(stage in wanted.stale, earlier):
                    states[stage] = state
                    say(f"{stage}: {summary(state)}")
                elif len(working) < parallel:
                    step = as_task(stage, stage in wanted.with_model)
                    working[runner.submit(step, {"stage": stage, "place": place})] = stage
                else:
                    continue
                waiting.remove(stage)
            if working:
                future: PrefectFuture[State] = next(as_completed([*working]))
                future.wait()
                stage = working.pop(future)
                states[stage] = future.state
                say(f"{stage}: {summary(states[stage])}")
    return {stage: states[stage] for stage in wanted.before}


def without_running(is_stale: bool, earlier: Sequence[State | None]) -> State | None:
    """The state of a stage that need not run, or can't for want of an earlier one; None for the others."""
    if not all(state and state.is_completed() for state in earlier):
        return Pending(name="Skipped", message="a stage that it waits for has failed")
    if is_stale or not all(state and state.name == stages.REUSED for state in earlier):
        return None
    return Completed(name=stages.REUSED, message="nothing that it depends on has changed")


def as_task(stage: str, has_model: bool) -> Task[[str, Place], State]:
    """One stage as a Prefect task, tagged `gpu` where it uses one, so that a limit of Prefect's can keep them apart."""
    name = stage.partition("@")[0]
    return run_stage.with_options(
        name=name,
        task_run_name=stage,
        retries=2 if name.startswith("download") else 0,
        tags=["gpu"] if has_model and shutil.which("nvidia-smi") else [],
    )


def summary(state: State) -> str:
    """What became of a stage: reused, "ran in 3 s", failed."""
    word = str(state.name).lower()
    return f"{word} in {state.message}" if state.name in (stages.RAN, stages.RESTORED) else word


@task(cache_policy=NO_CACHE, retry_delay_seconds=5)
def run_stage(stage: str, place: Place) -> State:
    """One stage, by `dvc repro`; a failure has two lines."""
    started = time.monotonic()
    with show.row(stage, stages.progress_of(place.root, stage)) as look:
        name, problem = stages.repro(place, stage, look)
    if problem:
        return Failed(message=f"{stage}: {problem}")
    return Completed(name=name, message=f"{time.monotonic() - started:.0f} s")
