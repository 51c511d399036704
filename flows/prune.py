"""Room again: workspaces, what DVC's cache holds for nobody, old MLflow runs. Without --go it only says how much.

python -m flows.prune [workspaces] [cache] [runs] [--older DAYS] [--go]
What the checkout and the workspaces that stay need is kept, in the cache and in MLflow.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import unquote, urlparse

import yaml
from mlflow import MlflowClient
from mlflow.entities import Run
from rich.console import Console

from arrange.errors import UserError
from flows.workspace import git, lock_of, locked
from records import store
from tasks.track import EXPERIMENT, stage_hash

KINDS = ("workspaces", "cache", "runs")
console = Console(highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", metavar="|".join(KINDS), help="what to look at (default: all)")
    parser.add_argument("--older", type=float, default=30, metavar="DAYS", help="runs that ended before (default: 30)")
    parser.add_argument("--go", action="store_true", help="remove it")
    words = parser.parse_args()
    try:
        if unknown := set(words.kinds) - set(KINDS):
            raise UserError(f"{unknown.pop()!r} can't be pruned", f"name some of {', '.join(KINDS)}")
        with locked(Path("state", "checkout.lock")):  # a run may be writing what looks unused
            prune(Path.cwd(), words.kinds or KINDS, words.older, words.go)
    except UserError as error:
        sys.exit(str(error))


def prune(home: Path, kinds: Sequence[str], days: float, go: bool) -> None:
    """Say what would go, or remove it. Workspaces first: they hold what the cache and MLflow keep."""
    with ExitStack() as held:  # no run may start in what goes until all is done
        gone = prune_workspaces(home, held, go) if "workspaces" in kinds else []
        left = sorted(path.parent for path in home.glob(".workspaces/*/dvc.yaml") if path.parent not in gone)
        if "cache" in kinds:
            unused = unused_objects(home, left)
            say("cached objects", len(unused), sum(map(size, unused)), go)
            if go and unused:
                collect(home, left)
        if "runs" in kinds:
            client = MlflowClient(tracking_uri=store.address())
            old = old_runs(client, kept_hashes([home, *left]), time.time() - days * 86400)
            say("MLflow runs", len(old), sum(size(artifacts(run)) for run in old), go)
            if go and old:
                delete(client, old)


def prune_workspaces(home: Path, held: ExitStack, go: bool) -> list[Path]:
    """The workspaces that go, or have gone."""
    free = free_workspaces(home, held)
    say("workspaces", len(free), sum(map(size, free)), go)
    if go:
        for folder in free:
            shutil.rmtree(folder)  # git itself refuses one that was moved with its checkout
        git(home, "worktree", "prune")
    return free


def say(what: str, count: int, room: int, go: bool) -> None:
    """One line: how many, how much."""
    console.print(f"{what + ':':16} {count:6} {'removed' if go else 'could go'}, {room / 1e6:,.1f} MB", markup=False)


def size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.lstat().st_size for file in files if file.is_file() and not file.is_symlink())


def free_workspaces(home: Path, held: ExitStack) -> list[Path]:
    """The workspaces in which no run is at work; none starts there while `held` has their locks."""
    free = []
    for folder in sorted(path for path in home.glob(".workspaces/*") if path.is_dir()):
        with suppress(UserError):
            held.enter_context(locked(lock_of(home, folder)))
            free.append(folder)
    return free


def unused_objects(home: Path, others: Sequence[Path]) -> list[Path]:
    """The files of DVC's cache that neither the checkout nor the other workspaces name."""
    lines = collect(home, others, "--dry").splitlines()
    return [Path(line.removeprefix("Removing ")) for line in lines if line.startswith("Removing ")]


def collect(home: Path, others: Sequence[Path], *words: str) -> str:
    """DVC's garbage collection; its output."""
    projects = ["--projects", *map(str, others)] if others else []
    command = [sys.executable, "-m", "dvc", "gc", "--workspace", "--force", *words, *projects]
    done = subprocess.run(command, cwd=home, capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"dvc gc: {done.stderr.strip().splitlines()[-1]}", "mend that, then prune again")
    return done.stdout


def kept_hashes(roots: Sequence[Path]) -> set[str]:
    """The hashes of the stages' states in these folders' dvc.lock: what MLflow is asked for again."""
    locks = [root / "dvc.lock" for root in roots if (root / "dvc.lock").exists()]
    return {stage_hash(entry) for lock in locks for entry in yaml.safe_load(lock.read_text())["stages"].values()}


def old_runs(client: MlflowClient, keep: set[str], before: float) -> list[Run]:
    """The runs that ended before that second of the epoch, without those kept and the parents of those left.

    A search's generations are runs below the search's and go or stay with it.
    """
    experiment = client.get_experiment_by_name(EXPERIMENT)
    runs = client.search_runs([experiment.experiment_id], max_results=50_000) if experiment else []
    hashes = {run.info.run_id: run.data.tags.get("stage_hash") for run in runs}
    above = {run.info.run_id: run.data.tags.get("mlflow.parentRunId", "") for run in runs}
    old = {
        run.info.run_id: run
        for run in runs
        if (run.info.end_time or time.time() * 1000) < before * 1000
        and not {hashes[run.info.run_id], hashes.get(above[run.info.run_id])} & keep
    }
    for run_id, parent in above.items():
        if run_id not in old:
            old.pop(parent, None)
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
    uri = store.address()
    if uri.startswith(("http://", "https://")):
        console.print(f"marked as deleted; on the machine of {uri}, `mlflow gc` makes the room", markup=False)
        return
    command = [sys.executable, "-m", "mlflow", "gc", "--run-ids"]
    env = os.environ | {"MLFLOW_TRACKING_URI": uri}  # not a word: everybody may read a process's words
    for start in range(0, len(ids), 1000):  # a word of a command line has an end
        done = subprocess.run([*command, ",".join(ids[start : start + 1000])], capture_output=True, text=True, env=env)
        if done.returncode:
            raise UserError(f"mlflow gc: {done.stderr.strip().splitlines()[-1]}", "mend that, then prune again")


if __name__ == "__main__":
    main()
