"""What a person sees of a run: one line per event, one moving row per working stage."""

import json
import logging
import os
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

from httpx import HTTPError
from prefect import get_run_logger
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.logging.configuration import setup_logging
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from flows.stages import progress_of
from records.store import redacted

SECONDS_BETWEEN_REPORTS = 10
console = Console(highlight=False)
_as_script = False


def as_script() -> None:
    """Show our own lines instead of Prefect's log on this terminal; Prefect's API gets its log as ever."""
    global _as_script
    _as_script = True
    os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"
    # nor what Prefect, event by event, could not tell its server
    os.environ["PREFECT_LOGGING_HANDLERS_DEBUG_LEVEL"] = "CRITICAL"
    logging.raiseExceptions = False
    setup_logging(incremental=False)  # it was set up when prefect was imported


def say(line: str) -> None:
    """One line, to Prefect's log of the run and, in a script, to the terminal; no password of an address in it."""
    line = redacted(line)
    get_run_logger().info(line)
    if _as_script:
        console.print(f"{time.strftime('%H:%M:%S')}  {line}", markup=False, soft_wrap=True)


class Rows:
    """How far the working stages are: moving rows on a terminal, lines elsewhere, artifacts on Prefect's page."""

    def __init__(self, root: Path) -> None:
        columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TextColumn("{task.fields[unit]}"))
        self.root = root
        self.bars = Progress(*columns, TimeElapsedColumn(), console=console, transient=True)
        self.rows: dict[str, TaskID] = {}
        self.reported: dict[str, float] = {}  # when a stage's progress was told last
        self.artifacts: dict[str, UUID] = {}

    def __enter__(self) -> "Rows":
        if console.is_terminal and _as_script:
            self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()

    def show(self, stage: str) -> None:
        """Bring a stage's row to the newest line of its progress file."""
        progress, now = progress_of(self.root, stage), time.monotonic()
        if stage not in self.rows and progress.exists():
            say(f"{stage}: starts")
            self.rows[stage], self.reported[stage] = self.bars.add_task(stage, total=None, unit=""), now
        if at := latest(progress):
            self.bars.update(self.rows[stage], completed=at["done"], total=at["total"], unit=at["unit"])
            if now - self.reported[stage] > SECONDS_BETWEEN_REPORTS:
                self.reported[stage] = now
                self.draw(stage, at)
                if not self.bars.live.is_started:
                    note = f", {at['note']}" if "note" in at else ""
                    say(f"{stage}: {at['done']} of {at['total']} {at['unit']}{note}")

    def remove(self, stage: str) -> None:
        """A stage has ended: its row goes, its artifact keeps the last line of its progress.

        A stage that has left its record is done, whatever the count: a search ends with its budget.
        """
        progress = progress_of(self.root, stage)
        if at := latest(progress):
            is_done = progress.with_name("record.json").exists()
            self.draw(stage, at | ({"total": at["done"]} if is_done else {}))
        if stage in self.rows:
            self.bars.remove_task(self.rows.pop(stage))

    def draw(self, stage: str, at: dict[str, Any]) -> None:
        """The row as an artifact. Where the server doesn't answer, the next update tries again."""
        share, text = 100 * at["done"] / max(at["total"], 1), f"{stage}: {at['done']} of {at['total']} {at['unit']}"
        with suppress(HTTPError):
            if stage in self.artifacts:
                update_progress_artifact(self.artifacts[stage], share, description=text)
            else:
                key = re.sub("[^a-z0-9]+", "-", f"progress-{stage}".lower())
                self.artifacts[stage] = create_progress_artifact(share, key, text)  # type: ignore[assignment]


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
