"""What a person sees of a run: one line per event, one moving row per working stage."""

import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from prefect import get_run_logger
from prefect.logging.configuration import setup_logging
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from records.store import redacted

SECONDS_BETWEEN_LINES = 10
console = Console(highlight=False)
_as_script = False
_bars = Progress(
    *Progress.get_default_columns()[:2],
    MofNCompleteColumn(),
    TextColumn("{task.fields[unit]}"),
    TimeElapsedColumn(),
    console=console,
    transient=True,
)


def as_script() -> None:
    """Show our own lines instead of Prefect's log on this terminal; Prefect's API gets its log as ever."""
    global _as_script
    _as_script = True
    os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"
    # nor what Prefect, event by event, could not tell its server
    os.environ["PREFECT_LOGGING_HANDLERS_DEBUG_LEVEL"] = "CRITICAL"
    logging.raiseExceptions = False
    setup_logging(incremental=False)  # it was set up when prefect was imported


def say(line: str, on_terminal: bool = True) -> None:
    """One line, to Prefect's log of the run and, in a script, to the terminal; no password of an address in it."""
    line = redacted(line)
    get_run_logger().info(line)
    if _as_script and on_terminal:
        console.print(f"{time.strftime('%H:%M:%S')}  {line}", markup=False, soft_wrap=True)


def rows() -> AbstractContextManager[object]:
    """Moving rows of the working stages within the block, if this is a script's terminal."""
    return _bars if console.is_terminal and _as_script else nullcontext()


@contextmanager
def row(stage: str, progress: Path) -> Iterator[Callable[[], None]]:
    """Yield what looks into a working stage's progress file, and moves its row.

    Prefect's log has a line every ten seconds, and so has a terminal without moving rows.
    """
    say(f"{stage}: starts")
    bar, told = _bars.add_task(stage, total=None, unit=""), time.monotonic()

    def look() -> None:
        nonlocal told
        if at := latest(progress):
            _bars.update(bar, completed=at["done"], total=at["total"], unit=at["unit"])
            if time.monotonic() - told > SECONDS_BETWEEN_LINES:
                told = time.monotonic()
                line = f"{stage}: {at['done']} of {at['total']} {at['unit']}"
                say(line + (f", {at['note']}" if "note" in at else ""), on_terminal=not _bars.live.is_started)

    try:
        yield look
    finally:
        _bars.remove_task(bar)


def latest(progress: Path) -> dict[str, Any] | None:
    """The newest whole line of a stage's progress file, which may be long: only its end is read.

    None where there is no such line. A damaged line is passed over: the next one comes soon.
    """
    lines: list[bytes] = []
    with suppress(FileNotFoundError), progress.open("rb") as file:  # a stage that starts removes an earlier run's
        file.seek(max(0, file.seek(0, os.SEEK_END) - 1000))
        lines = [line for line in file.read().splitlines()[-2:] if line.startswith(b"{") and line.endswith(b"}")]
    for line in reversed(lines):
        with suppress(ValueError):
            at = json.loads(line)
            if {"done", "total", "unit"} <= at.keys():
                return dict(at)
    return None
