"""DVC's stages: which wait for which, which are stale, and how one runs."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import NamedTuple

from dvc.repo import Repo
from dvc.stage import PipelineStage
from networkx import descendants

from flows import servers
from flows.checkout import problem_of_disk
from records.states import read_lock

REUSED, RESTORED, RAN = "Reused", "Restored", "Ran"
ROOM_OF_MODELS = "arrange/training"  # what trains a language model, or runs one, depends on it


@dataclass(frozen=True)
class Place:
    """Where a flow's stages work, what they can't know from the files there, and whether they are to end."""

    root: Path
    env: dict[str, str]
    stopping: Event = field(default_factory=Event)


class Graph(NamedTuple):
    """Stages of dvc.yaml, in the order there. with_model: those that use a language model, and so a GPU."""

    before: dict[str, list[str]]  # stage -> stages that it waits for
    stale: set[str]  # those that may have to run: DVC finds them changed, or they come after another one that may
    with_model: set[str]


def graph(root: Path, targets: Collection[str]) -> Graph:
    """The target stages, all their items, with what they wait for. Raises UserError for a damaged dvc.lock."""
    with Repo(str(root), _wait_for_lock=True) as repo, repo.lock:
        read_lock(root)  # DVC itself would fail with a traceback
        # a file under `dvc add` is a nameless stage too, and none of ours
        stages = {stage.name: stage for stage in repo.index.stages if isinstance(stage, PipelineStage)}
        wanted = {name for name in stages if name.partition("@")[0] in targets}
        wanted |= {getattr(each, "name", "") for name in wanted for each in descendants(repo.index.graph, stages[name])}
        before = {
            name: [each.name for each in repo.index.graph.successors(stage) if isinstance(each, PipelineStage)]
            for name, stage in stages.items()
            if name in wanted
        }
        stale: set[str] = set()
        for name in before:
            if stale & {*before[name]} or stages[name].changed():
                stale.add(name)
        with_model = {name for name in before if ROOM_OF_MODELS in {each.def_path for each in stages[name].deps}}
    return Graph(before, stale, with_model)


def mend_lock(root: Path) -> None:
    """Remove DVC's list of readers and writers if a full disk has cut it short: with it, DVC would do nothing more."""
    path = root / ".dvc" / "tmp" / "rwlock"
    with suppress(FileNotFoundError):
        try:
            json.loads(path.read_text())
        except ValueError:
            path.unlink()


def repro(place: Place, stage: str, look: Callable[[], None]) -> tuple[str, str]:
    """`dvc repro` of this stage alone: whether it ran, was restored or reused, and the problem in two lines, if any.

    look: called twice a second while it works.
    """
    root, log = place.root, place.root / "logs" / f"{stage}.log"
    progress_of(root, stage).unlink(missing_ok=True)  # an earlier run's
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # DVC's commands say `python`
    words = ["dvc", "--wait-for-lock", "repro", "--single-item", stage]
    process = servers.start(words, log, {**place.env, "PATH": path}, root)
    while process.poll() is None:
        if place.stopping.is_set():
            servers.end(process)
            return RAN, "it was stopped with its flow run\nthe same command goes on from here"
        look()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.5)
    text = log.read_text(errors="replace")
    if process.returncode:
        return RAN, problem_in(text, log)
    if "is cached - skipping run" in text:
        # what an older run noted of itself isn't about these outputs
        (root / "state" / stage / "record.json").unlink(missing_ok=True)
        return RESTORED, ""
    return (REUSED if "didn't change, skipping" in text else RAN), ""


def progress_of(root: Path, stage: str) -> Path:
    """The file in which a working stage says how far it is."""
    return root / "state" / stage / "progress.jsonl"


def problem_in(text: str, log: Path) -> str:
    """The two lines that matter in the log of a failed stage.

    A task prints them itself, as its last words. Of a crash they are the exception and the log's place, and of what
    DVC can't do its own error.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    errors = [n for n, line in enumerate(lines) if line.startswith("ERROR: ")]  # DVC's
    own, error = (lines[: errors[0]], lines[errors[0]]) if errors else (lines, "")
    has_crashed = any(line.startswith("Traceback (most recent call last)") for line in own)
    is_silent = not own or own[-1].startswith(("> ", "Running stage")) or "exited with -" in error  # by a signal
    if "failed to run: " in error and not has_crashed and not is_silent:
        return "\n".join(own[-2:])
    if problem := problem_of_disk(log.parents[1], text):
        return problem
    if has_crashed:
        return f"{own[-1]}\nthis is a bug; the whole output is in {log}"
    if error and "failed to run: " not in error:
        return f"{error}\nthe whole output is in {log}"
    return f"it ended without an error (killed, or out of memory?)\nthe log is {log}"
