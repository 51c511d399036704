"""What the flows have in common: how a run goes from its parameters to its stages, its record and its conclusion."""

import hashlib
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

from dvc.exceptions import CyclicGraphError
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run
from prefect.states import Crashed, Failed

from arrange.errors import UserError
from flows import results, servers
from flows.checkout import problem_of_disk
from flows.schedule import run_stages
from flows.show import say
from flows.stages import REUSED, Place, graph, mend_lock
from flows.workspace import assignments, lock_of, locked, opened
from records import opening, store
from settings import params
from tasks.stage import end_with_parent

RECORDED = Path("state", "recorded")  # in a workspace

Derive = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def run(
    targets: Collection[str],
    preset: str | None,
    overrides: Mapping[str, Any] | None,
    parallel: int,
    derive: Derive = lambda sections: {},
    table: results.TableOf = results.means,
) -> State:
    """Run the target stages of dvc.yaml with all that they wait for, where they are stale; how the flow run ends.

    `derive` makes further overrides of the effective sections: a sweep's cells. `table` is what a finished run shows.
    """
    if os.environ.get("PREFECT__FLOW_RUN_ID"):
        end_with_parent()  # a worker's run
    try:
        if parallel < 1:
            raise UserError(f"parallel is {parallel}", "let at least 1 stage work at once")
        store.check_server()
        sections = params.effective(params.load(), preset or None, overrides or {})
        if derived := derive(sections):
            sections = params.effective(sections, None, derived)
        changed = sections if preset or overrides or derived else None
        with opened(Path.cwd(), changed) as root:
            close_killed(lock_of(Path.cwd(), root).with_suffix(".flow_run"))
            return run_in(place_of(root, preset, overrides or {}), sections, targets, parallel, table)
    except UserError as error:
        return Failed(message=str(error))
    except CyclicGraphError as error:
        return Failed(message=f"stages wait for each other: {error}\ncheck the entries of fusions and reranked")
    except Exception as error:
        if problem := problem_of_disk(Path.cwd(), str(error)):
            return Failed(message=problem)
        raise


def close_killed(mark: Path) -> None:
    """Tell Prefect of the flow runs of this checkout that were killed. Marks have the ids of each folder's last one.

    mark: this folder's, which gets this run's id. A run of another folder that holds its lock is at work.
    """
    with get_client(sync_client=True) as client:
        for each in mark.parent.glob("*.flow_run"):
            with suppress(FileNotFoundError, ValueError, ObjectNotFound, UserError):
                last = client.read_flow_run(UUID(each.read_text()))
                if str(last.id) == flow_run.id or not last.state or last.state.is_final():
                    continue
                with nullcontext() if each == mark else locked(each.with_suffix(".lock")):
                    client.set_flow_run_state(last.id, Crashed(message="its process was killed"), force=True)
    mark.write_text(str(flow_run.id))


def place_of(root: Path, preset: str | None, overrides: Mapping[str, Any]) -> Place:
    """Where the run's stages work, and what they can't know from the files there."""
    env = {
        "MLFLOW_TRACKING_URI": store.tracking_uri(),
        "ARRANGE_PRESET": preset or "",
        "ARRANGE_OVERRIDES": " ".join(assignments(overrides)),
        "ARRANGE_COMMAND": command(str(flow_run.flow_name), preset, overrides),
        "ARRANGE_STARTED_BY": f"flow run {flow_run.id}",
        "ARRANGE_FLOW_RUN_URL": "" if servers.temporary else flow_run.ui_url or "",  # that server ends with the run
    }
    return Place(root, env)


def command(name: str, preset: str | None, overrides: Mapping[str, Any]) -> str:
    """The command that repeats this run.

    >>> command("ranking", "tiny", {"rank": {"beams": 50}})
    '.venv/bin/python -m flows ranking --preset tiny --set rank.beams=50'
    """
    words = [".venv/bin/python", "-m", "flows", name]
    words += ["--preset", preset] if preset else []
    changed = list(assignments(overrides))
    return shlex.join([*words, "--set", *changed] if changed else words)


def run_in(
    place: Place, sections: Mapping[str, Any], targets: Collection[str], parallel: int, table: results.TableOf
) -> State:
    """Run the stages in a workspace, record them, and say how the run ended."""
    say(f"works in {place.root}, records in {store.tracking_uri()}")
    mend_lock(place.root)
    wanted = graph(place.root, targets)
    if wanted.stale or not is_recorded(place.root):
        opening.check()
    if wanted.stale & wanted.with_model:
        check_options(place.root)
    states = run_stages(place, wanted, parallel)
    failed = [state for state in states.values() if state.is_failed() or state.is_crashed()]
    record(place, states, "FAILED" if failed else "FINISHED")
    if problem := problem_of_disk(place.root):
        raise UserError(*problem.split("\n"))
    if failed:
        return Failed(message=failed[0].message)
    return results.conclude(place, sections, states, table)


def check_options(root: Path) -> None:
    """Raise UserError for an option that the class of another library won't take, before the first stage runs."""
    words = [sys.executable, "-m", "settings.options"]
    done = subprocess.run(words, cwd=root, capture_output=True, text=True)
    if done.returncode:
        if not done.stdout:
            raise RuntimeError(done.stderr)
        what, _, remedy = done.stdout.strip().rpartition("\n")
        raise UserError(what, remedy)


def record(place: Place, states: Mapping[str, State], status: str) -> None:
    """Bring MLflow up to date, and where parameters were changed keep the run as an experiment of DVC's.

    The stage `track` does it where it runs. After a failure it never comes, not every flow has it, and DVC reuses it
    when the stages gave the same outputs as before, or when the store is another one. A run with nothing new in the
    store that had it last is not recorded again.
    """
    if not (place.root / "dvc.lock").exists() or is_recorded(place.root):
        return
    has_tracked = "track" in states and states["track"].is_completed() and states["track"].name != REUSED
    if (has_tracked or note_in("MLflow", place, ["tasks", "track"], ARRANGE_STATUS=status)) and status == "FINISHED":
        (place.root / RECORDED).write_text(key_of(place.root))
        if place.root != Path.cwd():  # `dvc exp show` lists it, `dvc exp apply` brings it into the checkout
            note_in("DVC", place, ["dvc", "exp", "save", "--force", "--name", f"run-{place.root.name}", *states])


def is_recorded(root: Path) -> bool:
    """Whether the last record of this workspace was of its state as it is, and in the store at hand."""
    mark, lock = root / RECORDED, root / "dvc.lock"
    return lock.exists() and mark.exists() and mark.read_bytes() == key_of(root).encode()


def key_of(root: Path) -> str:
    """The hash of this workspace's state and of the store at hand."""
    return hashlib.sha256(store.identity().encode() + (root / "dvc.lock").read_bytes()).hexdigest()


def note_in(tool: str, place: Place, words: Sequence[str], **told: str) -> bool:
    """Run a module that keeps a record, and say whether it did. A run that ended well doesn't fail without a record."""
    log = place.root / "logs" / f"record-{tool}.log"
    log.parent.mkdir(exist_ok=True)  # no stage may have run here: `dvc pull` brings outputs too
    with log.open("w") as file:
        env = os.environ | place.env | told
        done = subprocess.run([sys.executable, "-m", *words], cwd=place.root, env=env, stdout=file, stderr=file)
    if done.returncode:
        say(f"{tool} has no record of this run: {log} says why")
    return done.returncode == 0
