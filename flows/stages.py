"""DVC's stages: which wait for which, which are stale, and how one runs."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import psutil
from dvc.repo import Repo
from dvc.stage import PipelineStage

from tasks.stage import STARTER, end_with_parent

REUSED, RESTORED, RAN = "Reused", "Restored", "Ran"
NO_ROOM = 10**7  # bytes: with less, a disk is as good as full

# DVC learns the umask by setting it to 0 for a moment: two threads at it, or a process that starts just then,
# are left with 0 and write files that everybody may write to.
one_at_a_time = threading.Lock()


def mend_lock(root: Path) -> None:
    """Remove DVC's list of readers and writers if a full disk has cut it short: with it, DVC would do nothing more."""
    path = root / ".dvc" / "tmp" / "rwlock"
    try:
        json.loads(path.read_text())
    except FileNotFoundError:
        return
    except ValueError:
        path.unlink()


def upstream(root: Path) -> dict[str, list[str]]:
    """For each stage of dvc.yaml, in the file's order, the stages that it waits for."""
    with Repo(str(root)) as repo:
        graph, stages = repo.index.graph, pipeline_stages(repo)
        names = {stage: name for name, stage in stages.items()}
        return {
            name: [names[before] for before in graph.successors(stage) if before in names]
            for name, stage in stages.items()
        }


def needed(graph: Mapping[str, list[str]], last: str) -> dict[str, list[str]]:
    """The part of the graph that ends in `last`: data sets that no ranker uses are left alone."""
    found, waiting = set(), [last]
    while waiting:
        stage = waiting.pop()
        found.add(stage)
        waiting += [before for before in graph[stage] if before not in found]
    return {stage: before for stage, before in graph.items() if stage in found}


def pipeline_stages(repo: Repo) -> dict[str, PipelineStage]:
    """The stages of dvc.yaml by name: a file under `dvc add` is a nameless stage too, and none of ours."""
    return {stage.name: stage for stage in repo.index.stages if isinstance(stage, PipelineStage)}


def is_stale(root: Path, stage: str) -> bool:
    """Whether DVC would run `stage` now. A fresh Repo: an old one doesn't see what others wrote."""
    with one_at_a_time, Repo(str(root), _wait_for_lock=True) as repo, repo.lock:
        return pipeline_stages(repo)[stage].changed()


def repro(root: Path, stage: str, env: Mapping[str, str], reason_to_stop: Callable[[], str]) -> tuple[str, bool]:
    """`dvc repro` of this stage alone: the problem in two lines ("" if none), and whether it was restored."""
    log = root / "logs" / f"{stage}.log"
    log.parent.mkdir(exist_ok=True)
    progress_of(root, stage).parent.mkdir(parents=True, exist_ok=True)
    progress_of(root, stage).touch()  # tells the flow, wherever it is, that the stage has started
    process = start(root, stage, env, log)
    while process.poll() is None:
        if reason := reason_to_stop():
            end(process)
            return reason, False
        time.sleep(0.2)
    text = log.read_text(errors="replace")
    restored = "is cached - skipping run" in text
    if restored:
        # what an older run noted of itself isn't about these outputs
        (root / "state" / stage / "record.json").unlink(missing_ok=True)
    return (problem_in(text, log) if process.returncode else ""), restored


def progress_of(root: Path, stage: str) -> Path:
    """The file in which a working stage says how far it is."""
    return root / "state" / stage / "progress.jsonl"


def start(root: Path, stage: str, env: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """`dvc repro` of this stage alone, as a process that ends with this one."""
    python = Path(sys.executable)
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"  # DVC's commands say `python`
    with log.open("w") as file, one_at_a_time:
        return subprocess.Popen(
            [python, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", stage],
            cwd=root,
            env={**os.environ, **env, "PATH": path, STARTER: str(os.getpid())},
            stdout=file,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            preexec_fn=end_with_parent,
        )


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started; nothing is lost, since outputs appear whole or not at all."""
    with suppress(psutil.NoSuchProcess):
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.terminate()
        for member in psutil.wait_procs(family, timeout=5)[1]:
            member.kill()
    process.wait()


def problem_of_disk(root: Path, text: str = "") -> str:
    """Two lines if what was said, or the disk itself, shows that nothing can be written; "" else.

    A stage's own words may have found no room either.
    """
    if not os.access(root, os.W_OK) or "Read-only file system" in text:
        return (
            f"{root} can't be written to any more\nmend the disk or the permissions; the same command goes on from here"
        )
    signs = ("No space left on device", "disk is full", "Disk quota exceeded")
    if shutil.disk_usage(root).free < NO_ROOM or any(sign in text for sign in signs):
        return f"the disk is full: {root}\nmake room (`make prune` finds some); the same command goes on from here"
    return ""


def problem_in(text: str, log: Path) -> str:
    """The two lines that matter in the log of a failed stage.

    A task prints them itself, as its last words; a crash is told by the exception and the log's place, and what DVC
    can't do by its own error.
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
        return f"{own[-1]}\nthis is a bug; the whole story is in {log}"
    if error and "failed to run: " not in error:
        return f"{error}\nthe whole story is in {log}"
    return f"it ended without a word (killed, or out of memory?)\nthe log is {log}"
