"""Which flow run is at work in a workspace, what becomes of one that was killed, and of one whose server was.

While a flow run works, state/<workspace>.flow_run holds its id and no word more, and a stage ends when that is no
longer so, wherever the stage runs. A file that outlived its flow run tells the next one that it was stopped or killed.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import NoReturn
from uuid import UUID

import psutil
from filelock import FileLock, Timeout
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL
from prefect.states import Crashed

from arrange.errors import UserError
from records.store import redacted
from tasks.stage import end_with_parent

STOPPED = " stopped"
GRACE = 15  # seconds


@contextmanager
def at_work(mark: Path, run: str) -> Iterator[None]:
    """Hold `mark` for the flow run `run`; its stages end when the block does, by whatever way."""
    mark.write_text(f"{run}{' ' * len(STOPPED)}")  # a full disk has no room for a word that is longer
    with stopped_by_errors(mark, run):
        yield
    mark.unlink()


@contextmanager
def stopped_by_errors(mark: Path, run: str) -> Iterator[None]:
    """End the stages of the flow run when the block is left by an exception; the next run tells Prefect of it."""
    try:
        yield
    except BaseException:
        with suppress(OSError), mark.open("r+") as file:
            file.seek(len(run))
            file.write(STOPPED)
        raise


def is_at_work(mark: Path, run: str) -> bool:
    """Whether the flow run still holds `mark`."""
    try:
        return mark.read_text().rstrip() == run
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


def check_server() -> None:
    """Raise UserError if no Prefect server answers at PREFECT_API_URL: before a flow at once, in one after a minute."""
    if not (address := PREFECT_API_URL.value()):
        return
    with get_client(sync_client=True) as client:
        if client.api_healthcheck():
            raise UserError(
                f"PREFECT_API_URL is {redacted(address)}, and no Prefect server answers there",
                "start it, or unset PREFECT_API_URL to have one for the run; what is done stays done",
            )


def keep_temporary_server() -> None:
    """Start the server of this run again if it was killed; what it knew is in its database.

    Raises UserError if it doesn't come up.
    """
    if PREFECT_API_URL.value():
        return
    from prefect.server.api.server import SubprocessASGIServer  # takes seconds, and Prefect has done it for the server

    server = SubprocessASGIServer()  # the one that Prefect started: there is one for a process
    if server.server_process and server.server_process.poll() is not None:
        server.running = False
        try:
            server.start()
        except RuntimeError:
            raise UserError(
                "Prefect's temporary server has ended and doesn't start again", "the same command goes on from here"
            ) from None


def end_with_worker() -> None:
    """In a deployment's run: end when the worker is killed, as it would end the run when it is told to stop.

    Where the server is gone too, Prefect would go on telling it for minutes; it has GRACE seconds.
    """
    if os.environ.get("PREFECT__FLOW_RUN_ID") and (worker := psutil.Process().parent()):
        end_with_parent()
        Thread(target=leave_after, args=[worker], daemon=True).start()


def leave_after(worker: psutil.Process) -> None:
    """End this process some time after that one, if it is still there then."""
    worker.wait()
    time.sleep(GRACE)
    leave("the worker of this run has ended")


def leave(problem: str, code: int = 1) -> NoReturn:
    """End at once: at a regular exit Prefect tries for minutes to tell its server what it missed."""
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            child.terminate()
    sys.stderr.write(f"\n{problem}\n")
    sys.stderr.flush()
    os._exit(code)


def address_of_run() -> str | None:
    """Where Prefect's page shows this flow run; None if the server ends with it."""
    return flow_run.ui_url if PREFECT_API_URL.value() else None
