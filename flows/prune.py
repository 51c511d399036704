"""Frees disk space: workspaces, objects of DVC's cache that nothing names, old MLflow runs.

python -m flows.prune [--older DAYS] [--go]
Without --go it only says how much. It keeps what the checkout and a workspace with a run at work need.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import unquote, urlparse

from mlflow import MlflowClient
from mlflow.entities import Run

from arrange.errors import UserError
from flows.workspace import git, lock_of, locked
from records import store
from records.opening import opened
from records.states import read_lock, stage_hash


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--older", type=float, default=30, metavar="DAYS", help="runs that ended before (default: 30)")
    parser.add_argument("--go", action="store_true", help="remove it")
    words = parser.parse_args()
    try:
        with locked(Path("state", "checkout.lock")):  # a run may be writing what looks unused
            prune(Path.cwd(), words.older, words.go)
    except UserError as error:
        sys.exit(str(error))


def prune(home: Path, days: float, go: bool) -> None:
    """Say what would go, or remove it. Workspaces first: they hold what the cache and MLflow keep."""
    read_lock(home)  # what it refuses, and what the next line does, is told before anything goes
    client = opened()
    with ExitStack() as held:  # no run may start in what goes until all is done
        gone = prune_workspaces(home, held, go)
        left = sorted(path.parent for path in home.glob(".workspaces/*/dvc.yaml") if path.parent not in gone)
        lines = collect(home, left, "--dry").splitlines()
        say("cached objects", [Path(line[9:]) for line in lines if line.startswith("Removing ")], go)
        old = old_runs(client, kept_hashes([home, *left]), time.time() - days * 86400)
        say("MLflow runs", [artifacts(run) for run in old], go)
        if go:
            collect(home, left)
        if go and old:
            delete(client, old)


def prune_workspaces(home: Path, held: ExitStack, go: bool) -> list[Path]:
    """The workspaces that go, or have gone: those in which no run is at work. `held` has their locks."""
    free = []
    for folder in sorted(path for path in home.glob(".workspaces/*") if path.is_dir()):
        with suppress(UserError):
            held.enter_context(locked(lock_of(home, folder)))
            free.append(folder)
    say("workspaces", free, go)
    if go:
        for folder in free:
            shutil.rmtree(folder)  # git itself refuses one that was moved with its checkout
        git(home, "worktree", "prune")
    return free


def say(what: str, paths: Sequence[Path], go: bool) -> None:
    """One line: how many, how much."""
    size = sum(file.lstat().st_size for path in paths for file in [path, *path.rglob("*")] if is_file(file))
    print(f"{what + ':':16} {len(paths):6} {'removed' if go else 'could go'}, {size / 1e6:,.1f} MB", flush=True)


def is_file(path: Path) -> bool:
    """Whether this is a file, and no link to one."""
    return path.is_file() and not path.is_symlink()


def collect(home: Path, others: Sequence[Path], *words: str) -> str:
    """DVC's garbage collection of what neither the checkout nor the other workspaces name; its output."""
    projects = ["--projects", *map(str, others)] if others else []
    return output("dvc", "gc", "--workspace", "--force", *words, *projects, cwd=home)


def output(*words: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """The output of a Python module; a UserError with its last line if it fails."""
    command = [sys.executable, "-m", *words]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=os.environ | (env or {}))
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [""])[-1]
        raise UserError(f"{words[0]} {words[1]}: {last}", "mend that, then prune again")
    return done.stdout


def kept_hashes(roots: Iterable[Path]) -> set[str]:
    """The hashes of the stages' states in these folders' dvc.lock: what MLflow is asked for again."""
    return {stage_hash(entry) for root in roots for entry in read_lock(root).values()}


def old_runs(client: MlflowClient, keep: set[str], before: float) -> list[Run]:
    """The runs that ended before that second of the epoch, without those kept and the parents of those left."""
    experiment = client.get_experiment_by_name(store.EXPERIMENT)
    runs = client.search_runs([experiment.experiment_id], max_results=50_000) if experiment else []
    old = {
        run.info.run_id: run
        for run in runs
        if (run.info.end_time or time.time() * 1000) < before * 1000 and run.data.tags.get("stage_hash") not in keep
    }
    for run in runs:
        if run.info.run_id not in old:
            old.pop(run.data.tags.get("mlflow.parentRunId", ""), None)
    return list(old.values())


def artifacts(run: Run) -> Path:
    """The folder of a run's artifacts, where they are files of this machine."""
    uri = urlparse(run.info.artifact_uri)
    return Path(unquote(uri.path)) if uri.scheme in {"", "file"} else Path("/nonexistent")


def delete(client: MlflowClient, runs: Sequence[Run]) -> None:
    """Delete runs and their artifacts; of a server's they are only marked, and `mlflow gc` there removes them."""
    ids = [run.info.run_id for run in runs]
    for run_id in ids:
        client.delete_run(run_id)
    if (uri := store.address()).startswith("http"):
        print(f"marked as deleted; on the machine of {uri}, `mlflow gc` makes the room")
        return
    for start in range(0, len(ids), 1000):  # a command line has a longest length
        # not a word of the command, which everybody may read: the address may have a password
        output("mlflow", "gc", "--run-ids", ",".join(ids[start : start + 1000]), env={"MLFLOW_TRACKING_URI": uri})


if __name__ == "__main__":
    main()
