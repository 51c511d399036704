"""What a person sees of a run: one line per event, one moving row per working stage."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from prefect import get_run_logger
from prefect.logging.configuration import setup_logging
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

console = Console(highlight=False)
_as_script = False


def as_script() -> None:
    """Show our own lines instead of Prefect's log on this terminal; Prefect's API gets its log as ever."""
    global _as_script
    _as_script = True
    os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"
    setup_logging(incremental=False)  # it was set up when prefect was imported


def stop_when_told() -> None:
    """In a script, end at once on Ctrl-C or TERM, stages and Prefect's own server too.

    Prefect would wait for the stages, a server short. Called within the flow, since Prefect sets handlers when
    one starts. Nothing is lost: outputs appear whole or not at all, and locks end with their process.
    """
    if _as_script:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _stop)


def _stop(number: int, _: object) -> None:
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    sys.stderr.write("\nstopped\nthe same command goes on from here\n")
    sys.stderr.flush()
    os._exit(128 + number)


def say(line: str) -> None:
    """One line, to Prefect's log of the run and, in a script, to the terminal."""
    get_run_logger().info(line)
    if _as_script:
        console.print(f"{time.strftime('%H:%M:%S')}  {line}", markup=False, soft_wrap=True)


class Rows:
    """The moving rows on a terminal; elsewhere, a plain line now and then."""

    SECONDS_BETWEEN_LINES = 20

    def __init__(self) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
        )
        self.bars = Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console, transient=True)
        self.ids: dict[str, TaskID] = {}
        self.said: dict[str, float] = {}

    def __enter__(self) -> "Rows":
        if console.is_terminal and _as_script:
            self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()

    @contextmanager
    def row(self, stage: str) -> Iterator[None]:
        """A row for `stage` while the block runs."""
        self.ids[stage] = self.bars.add_task(stage, total=None, unit="")
        self.said[stage] = time.monotonic()
        try:
            yield
        finally:
            self.bars.remove_task(self.ids.pop(stage))

    def show(self, stage: str, progress: Path) -> None:
        """Bring the row to the newest line of the stage's progress file."""
        at = latest(progress)
        if at is None:
            return
        self.bars.update(self.ids[stage], completed=at["done"], total=at["total"], unit=at["unit"])
        if not self.bars.live.is_started and time.monotonic() - self.said[stage] > self.SECONDS_BETWEEN_LINES:
            self.said[stage] = time.monotonic()
            say(f"{stage}: {at['done']} of {at['total']} {at['unit']}")


def latest(progress: Path) -> dict | None:
    """The newest whole line that a working stage wrote of its progress; a night's file isn't read for it."""
    if not progress.exists():
        return None
    with progress.open("rb") as file:
        file.seek(max(0, progress.stat().st_size - 1000))
        lines = [line for line in file.read().splitlines()[-2:] if line.startswith(b"{") and line.endswith(b"}")]
    return json.loads(lines[-1]) if lines else None
