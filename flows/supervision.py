"""Marks which flow run is at work in a workspace, ends the stages of one that has stopped, and tells Prefect of it.

While a flow run works, state/<workspace>.flow_run holds its id. A stage ends when the file no longer does, wherever the
stage runs. A file that is left over tells the next flow run that the last one was stopped or killed.
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
from prefect.states import Crashed

from tasks.stage import end_with_parent

GRACE = 15  # seconds


@contextmanager
def at_work(mark: Path, run: str) -> Iterator[None]:
    """Hold `mark` for the flow run `run`; its stages end when the block does, by whatever way."""
    mark.write_text(run)
    try:
        yield
    except BaseException:
        mark.rename(mark.with_suffix(".stopped"))  # which takes no room on a full disk
        raise
    mark.unlink()


def is_at_work(mark: Path, run: str) -> bool:
    """Whether the flow run still holds `mark`."""
    try:
        return mark.read_bytes() == run.encode()  # a damaged one may be no text
    except FileNotFoundError:
        return False


def close_abandoned(home: Path) -> None:
    """Tell Prefect of this checkout's flow runs that were stopped or killed: those whose lock is free."""
    for mark in [*home.glob("state/*.flow_run"), *home.glob("state/*.stopped")]:
        with suppress(Timeout), FileLock(mark.with_suffix(".lock"), timeout=0):
            with suppress(ObjectNotFound, ValueError), get_client(sync_client=True) as client:
                run = client.read_flow_run(UUID(mark.read_text()))
                if run.state and not run.state.is_final():
                    client.set_flow_run_state(run.id, Crashed(message="its process was killed"), force=True)
            mark.unlink(missing_ok=True)


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
