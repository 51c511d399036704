"""Frees disk space: python -m flows.prune [--go] removes workspaces and the objects of DVC's cache that nothing names.

Without --go it only says how much. It keeps what the checkout and a workspace with a run at work need.
"""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from arrange.errors import UserError
from flows.workspace import git, lock_of, locked
from records.states import read_lock


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--go", action="store_true", help="remove it")
    go = parser.parse_args().go
    try:
        with locked(Path("state", "checkout.lock")):  # a run may be writing what looks unused
            prune(Path.cwd(), go)
    except UserError as error:
        sys.exit(str(error))


def prune(home: Path, go: bool) -> None:
    """Say what would go, or remove it. Workspaces first: they hold what the cache keeps."""
    read_lock(home)  # what it refuses is told before anything goes
    with ExitStack() as held:  # no run may start in what goes until all is done
        gone = prune_workspaces(home, held, go)
        left = sorted(path.parent for path in home.glob(".workspaces/*/dvc.yaml") if path.parent not in gone)
        lines = collect(home, left, "--dry").splitlines()
        say("cached objects", [Path(line[9:]) for line in lines if line.startswith("Removing ")], go)
        if go:
            collect(home, left)


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
    files = [file for path in paths for file in [path, *path.rglob("*")] if file.is_file() and not file.is_symlink()]
    size = sum(file.stat().st_size for file in files)
    print(f"{what + ':':16} {len(paths):6} {'removed' if go else 'could go'}, {size / 1e6:,.1f} MB", flush=True)


def collect(home: Path, others: Sequence[Path], *words: str) -> str:
    """DVC's garbage collection of what neither the checkout nor the other workspaces name; its output."""
    projects = ["--projects", *map(str, others)] if others else []
    command = [sys.executable, "-m", "dvc", "gc", "--workspace", "--force", *words, *projects]
    done = subprocess.run(command, cwd=home, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [""])[-1]
        raise UserError(f"dvc gc: {last}", "mend that, then prune again")
    return done.stdout


if __name__ == "__main__":
    main()
