"""Which flow run is at work in a workspace, and what becomes of one that was killed.

While a flow run works, state/<workspace>.flow_run holds its id, no more and no less, and a stage ends when that is no
longer so, wherever the stage runs. A file that outlived its flow run tells the next one that it was stopped or killed.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import UUID

import psutil
from filelock import FileLock, Timeout
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL
from prefect.states import Crashed

from tasks.stage import end_with_parent


@contextmanager
def at_work(mark: Path, run: str) -> Iterator[None]:
    """Hold `mark` for the flow run `run`; its stages end when the block does, by whatever way."""
    mark.write_text(run)
    try:
        yield
    except BaseException:
        mark.write_text(f"{run} stopped")  # the next run sees to it that Prefect knows
        raise
    mark.unlink()


def is_at_work(mark: Path, run: str) -> bool:
    """Whether the flow run still holds `mark`."""
    try:
        return mark.read_text() == run
    except FileNotFoundError:
        return False


def close_abandoned(home: Path) -> None:
    """Let Prefect know of this checkout's flow runs that were stopped or killed: those whose lock is free."""
    for mark in home.glob("state/*.flow_run"):
        with suppress(Timeout), FileLock(mark.with_suffix(".lock"), timeout=0):
            with suppress(ObjectNotFound, ValueError, IndexError), get_client(sync_client=True) as client:
                run = client.read_flow_run(UUID(mark.read_text().split()[0]))
                if run.state and not run.state.is_final():
                    client.set_flow_run_state(run.id, Crashed(message="its process was killed"), force=True)
            mark.unlink(missing_ok=True)


def end_leftover_servers(home: Path) -> None:
    """End the temporary servers that flows of this checkout left behind when they were killed."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if "prefect.server.api.server:create_app" not in process.cmdline() or process.cwd() != str(home):
                continue
            parent = process.parent()
            if process.environ().get("PREFECT__SERVER_EPHEMERAL") and (parent is None or not belongs(parent, home)):
                process.terminate()


def belongs(process: psutil.Process, home: Path) -> bool:
    """Whether a process works in this checkout: an orphan's new parent, init or the like, doesn't."""
    with suppress(psutil.Error):
        return process.cwd() == str(home)
    return False


def end_with_worker() -> None:
    """In a deployment's run: end when the worker is killed, as it would end the run when it is told to stop."""
    if os.environ.get("PREFECT__FLOW_RUN_ID"):
        end_with_parent()


def address_of_run() -> str | None:
    """Where Prefect's page shows this flow run; None if the server ends with it."""
    return flow_run.ui_url if PREFECT_API_URL.value() else None
