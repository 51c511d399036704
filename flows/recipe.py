"""What the flows have in common: their parameters, and how a run goes from its workspace to its conclusion."""

import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from prefect import Flow, flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Failed

from arrange.errors import UserError
from flows import results
from flows import supervision as presence
from flows.parameters import sections_of, with_sections
from flows.running import Place, record, run_all, save_experiment
from flows.show import say
from flows.stages import REUSED, problem_of_disk
from flows.workspace import Workspace, assignments, opened
from records import store
from settings import params
from settings.sections import Settings

Derive = Callable[[Settings], Mapping[str, Any]]


def recipe(name: str, stages: Sequence[str], purpose: str, derive: Derive | None = None) -> Flow[..., State]:
    """A flow of those of `stages` that the pipeline needs; `derive` makes overrides of the settings (a sweep's cells).

    Its parameters are those of `run` below and the sections of params.yaml that the stages read, or that has its name.
    """

    def run(
        preset: str | None = None,
        overrides: dict | None = None,
        parallel: int = 2,
        hours: float | None = None,
        cluster: str | None = None,
        **sections: Any,
    ) -> State:
        """Run the stages that are stale.

        Args:
            preset: A name under `presets` in params.yaml; none takes the sections as they stand.
            overrides: Values over params.yaml and preset in one piece, e.g. {"rank": {"beams": 50}}.
            parallel: How many stages may work at once.
            hours: After so many hours the run is stopped; the next one goes on from there.
            cluster: The address of a Dask scheduler whose workers run the stages, e.g. tcp://10.0.0.1:8786.
        """
        given = {section: values for section, values in sections.items() if values is not None}
        changed = params.merge(overrides or {}, given)
        return run_flow(name, stages, preset or None, changed, derive, parallel, hours, cluster)

    run.__signature__ = with_sections(run, [*sections_of(stages), *({name} & Settings.model_fields.keys())])  # type: ignore[attr-defined]
    return flow(name=name, description=purpose)(run)


def run_flow(
    name: str,
    stages: Sequence[str],
    preset: str | None,
    overrides: Mapping[str, Any],
    derive: Derive | None,
    parallel: int,
    hours: float | None,
    cluster: str | None,
) -> State:
    """A whole flow run: find the workspace, run the stages in it, record, conclude."""
    presence.end_with_worker()
    try:
        if parallel < 1:
            raise UserError(f"parallel is {parallel}", "let at least 1 stage work at once")
        again = command(name, preset, overrides)
        store.check_server()
        if derive:
            chosen = params.validate(params.effective(params.load(), preset, overrides), f"the {name}")
            overrides = params.merge(overrides, derive(chosen))
        presence.close_abandoned(Path.cwd())
        with opened(Path.cwd(), preset, overrides) as workspace:
            say(f"works in {workspace.root}, records in {store.tracking_uri()}")
            ends = float("inf") if hours is None else time.time() + hours * 3600
            place = Place(workspace.root, environment(workspace, again), workspace.mark, str(flow_run.id), ends)
            with presence.at_work(place.mark, place.flow_run):
                return conclude(workspace, place, run_all(place, stages, parallel, cluster), again)
    except UserError as error:
        return Failed(message=str(error))
    except Exception as error:
        if problem := problem_of_disk(Path.cwd(), str(error)):
            return Failed(message=problem)
        raise


def conclude(workspace: Workspace, place: Place, states: Mapping[str, State], again: str) -> State:
    """Record what the stage `track` did not, and say how the run ended."""
    failed = [state for state in states.values() if state.is_failed() or state.is_crashed()]
    if failed:
        record(place, "FAILED")
    elif "track" not in states or states["track"].name == REUSED:
        record(place, "FINISHED")
    if problem := problem_of_disk(place.root):
        raise UserError(*problem.split("\n"))
    presence.keep_temporary_server()
    presence.check_server()  # a stage may have failed for the want of it
    if failed:
        return Failed(message=failed[0].message)
    store.check_server()  # the page `report` links to it
    if workspace.overrides:
        save_experiment(place, states)
    return results.conclude(workspace, states, again)


def command(name: str, preset: str | None, overrides: Mapping[str, Any]) -> str:
    """The command that repeats this run.

    >>> command("ranking", "tiny", {"rank": {"beams": 50}})
    '.venv/bin/python -m flows.ranking --preset tiny --set rank.beams=50'
    """
    words = [".venv/bin/python", "-m", f"flows.{name}"]
    words += ["--preset", preset] if preset else []
    changed = list(assignments(overrides))
    return shlex.join([*words, "--set", *changed] if changed else words)


def environment(workspace: Workspace, again: str) -> dict[str, str]:
    """What the stages can't know from the workspace's files."""
    return {
        "MLFLOW_TRACKING_URI": store.tracking_uri(),
        "ARRANGE_PRESET": workspace.preset or "",
        "ARRANGE_OVERRIDES": " ".join(workspace.overrides),
        "ARRANGE_COMMAND": again,
        "ARRANGE_STARTED_BY": f"flow run {flow_run.id}",
        "ARRANGE_FLOW_RUN_URL": presence.address_of_run() or "",
    }
