"""Processes that end with this one: stages, servers, workers. Prefect's temporary server is one of them."""

import atexit
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

import psutil
import requests
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from arrange.errors import UserError
from records.store import redacted
from tasks.stage import end_with_parent

SECONDS_TO_START = 120
SECONDS_TO_END = 15
LOGS = Path("logs")
NO_PAGES = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}

Processes = dict[str, subprocess.Popen[bytes]]
temporary: Processes = {}  # Prefect's server of this run, where the run has one of its own


def start(words: Sequence[str], log: Path, env: Mapping[str, str], cwd: Path | None = None) -> subprocess.Popen[bytes]:
    """Start a Python module. It has a group of its own, so that Ctrl-C reaches this process alone, which ends it."""
    log.parent.mkdir(exist_ok=True)
    with log.open("w") as file:
        return subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=cwd,
            env=os.environ | env,
            stdout=file,
            stderr=file,
            stdin=subprocess.DEVNULL,
            preexec_fn=end_with_parent,
            start_new_session=True,
        )


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process, then whatever is left of its group. Outputs of stages appear whole or not at all."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(SECONDS_TO_END)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def leave(problem: str, code: int) -> NoReturn:
    """End at once, with all children: at a regular exit Prefect tries for minutes to tell its server what it missed."""
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            child.terminate()
    sys.stderr.write(f"\n{problem}\n")
    sys.stderr.flush()
    os._exit(code)


def wait_for(name: str, address: str, processes: Processes) -> None:
    """Return when a server answers; raise UserError when one has ended, or takes too long."""
    late = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < late:
        check(processes)
        with suppress(requests.RequestException):
            if requests.get(address, timeout=5).ok:
                return
        time.sleep(0.1)
    raise UserError(f"{name} doesn't answer at {address}", f"{LOGS / name}.log says why")


def check(processes: Processes) -> None:
    """Raise UserError if one of the processes has ended."""
    for name, process in processes.items():
        if process.poll() is not None:
            raise UserError(f"{name} has ended (exit code {process.returncode})", f"{LOGS / name}.log says why")


def free_port(host: str) -> str:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind((host, 0))
        return str(free.getsockname()[1])


@contextmanager
def prefect_for_a_run() -> Iterator[Callable[[], None]]:
    """Where PREFECT_API_URL names no server: start one for this run, with the database of this checkout.

    Yields what waits until it answers, which takes seconds. It ends when the interpreter does, later than Prefect's
    threads, which have something to tell it until then.
    """
    if PREFECT_API_URL.value():
        yield lambda: None
        return
    port = free_port("127.0.0.1")
    address = f"http://127.0.0.1:{port}/api"
    os.environ["PREFECT_API_URL"] = address  # for threads that don't take the settings along
    with temporary_settings({PREFECT_API_URL: address}):
        words = ["uvicorn", "--factory", "prefect.server.api.server:create_app", "--host", "127.0.0.1", "--port", port]
        temporary["prefect"] = start([*words, "--log-level", "error"], LOGS / "prefect.log", NO_PAGES)
        atexit.register(end, temporary["prefect"])
        yield lambda: wait_for("prefect", f"{address}/health", temporary)


def check_prefect() -> None:
    """Raise UserError if no Prefect server answers at PREFECT_API_URL. Within a flow the client tries for a minute."""
    if not (address := PREFECT_API_URL.value()):
        return
    with get_client(sync_client=True) as client:
        if client.api_healthcheck():
            raise UserError(
                f"PREFECT_API_URL is {redacted(address)}, and no Prefect server answers there",
                "start it, or unset PREFECT_API_URL to have one for the run; what is done stays done",
            )
