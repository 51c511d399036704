"""What a person sees of a run: one line per event, one moving row per working stage."""

import json
import os
import re
import time
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from httpx import HTTPError
from prefect import get_run_logger
from prefect.artifacts import create_progress_artifact, update_progress_artifact
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

from flows.stages import progress_of
from records.store import redacted

console = Console(highlight=False)
_as_script = False


def as_script() -> None:
    """Show our own lines instead of Prefect's log on this terminal; Prefect's API gets its log as ever."""
    global _as_script
    _as_script = True
    os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"
    setup_logging(incremental=False)  # it was set up when prefect was imported


def say(line: str) -> None:
    """One line, to Prefect's log of the run and, in a script, to the terminal; no password of an address in it."""
    line = redacted(line)
    get_run_logger().info(line)
    if _as_script:
        console.print(f"{time.strftime('%H:%M:%S')}  {line}", markup=False, soft_wrap=True)


class Rows:
    """How far the working stages are: moving rows on a terminal, lines elsewhere, artifacts on Prefect's page."""

    SECONDS_BETWEEN_LINES = 20
    SECONDS_BETWEEN_ARTIFACTS = 5

    def __init__(self, root: Path) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
        )
        self.root = root
        self.bars = Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console, transient=True)
        self.ids: dict[str, TaskID] = {}
        self.said: dict[str, float] = {}
        self.drawn: dict[str, float] = {}
        self.artifacts: dict[str, UUID] = {}

    def __enter__(self) -> "Rows":
        if console.is_terminal and _as_script:
            self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()

    def expect(self, stage: str) -> None:
        """A stage is about to start: its progress is none of an earlier run's."""
        progress_of(self.root, stage).unlink(missing_ok=True)

    def show(self, stage: str) -> None:
        """Bring a stage's row to the newest line of its progress file."""
        progress = progress_of(self.root, stage)
        if stage not in self.ids:
            if not progress.exists():
                return
            say(f"{stage}: starts")
            self.ids[stage] = self.bars.add_task(stage, total=None, unit="")
            self.said[stage] = self.drawn[stage] = time.monotonic()
        if at := latest(progress):
            self.bars.update(self.ids[stage], completed=at["done"], total=at["total"], unit=at["unit"])
            if not self.bars.live.is_started and time.monotonic() - self.said[stage] > self.SECONDS_BETWEEN_LINES:
                self.said[stage] = time.monotonic()
                say(f"{stage}: {at['done']} of {at['total']} {at['unit']}{', ' * ('note' in at)}{at.get('note', '')}")
            if time.monotonic() - self.drawn[stage] > self.SECONDS_BETWEEN_ARTIFACTS:
                self.drawn[stage] = time.monotonic()
                self.draw(stage, at["done"], at["total"], at["unit"])

    def draw(self, stage: str, done: int, total: int, unit: str) -> None:
        """The row as an artifact; a server that doesn't answer now may do so the next time."""
        share, text = 100 * done / max(total, 1), f"{stage}: {done} of {total} {unit}"
        with suppress(HTTPError):
            if stage in self.artifacts:
                update_progress_artifact(self.artifacts[stage], share, description=text)
            else:
                key = re.sub("[^a-z0-9]+", "-", f"progress-{stage}".lower())
                self.artifacts[stage] = create_progress_artifact(share, key, text)  # type: ignore[assignment]

    def remove(self, stage: str) -> None:
        """A stage has ended: its artifact keeps the last line of its progress, its row goes.

        One that has left its record has ended well, and is done: a search ends with its budget, not with a count.
        """
        if at := latest(progress := progress_of(self.root, stage)):
            is_done = progress.with_name("record.json").exists()
            self.draw(stage, at["done"], at["done"] if is_done else at["total"], at["unit"])
        if stage in self.ids:
            self.bars.remove_task(self.ids.pop(stage))


def latest(progress: Path) -> dict | None:
    """The newest whole line that a working stage wrote of its progress; a night's file isn't read for it."""
    lines: list[bytes] = []
    with suppress(FileNotFoundError), progress.open("rb") as file:  # a stage that starts removes an earlier run's
        file.seek(max(0, file.seek(0, os.SEEK_END) - 1000))
        lines = [line for line in file.read().splitlines()[-2:] if line.startswith(b"{") and line.endswith(b"}")]
    return json.loads(lines[-1]) if lines else None
