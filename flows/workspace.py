"""Where a run takes place: the checkout itself, or, for a preset or overrides, a git worktree beside it.

The worktree is named by the hash of the effective parameters, so that the same ones always meet the same folder. It
shares the checkout's DVC cache, so that stages that are the same are restored, not run again.

It has the checkout's code as it stands. Code is every file that git tracks, as it is in the working tree, and of the
files that are new to git those that stages import or run: all in the top folders that are Python packages, and beside
these *.py, *.toml and *.yaml. Files that git ignores are no code. All else that is new is data: it stays where it is,
and a run reads it there (DATA=mydata is an absolute path in the worktree's params.yaml).
"""

import filecmp
import hashlib
import json
import math
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from dvc.repo import Repo
from filelock import FileLock, Timeout

from arrange.errors import UserError
from arrange.files import replacing
from flows.checkout import check_checkout
from settings.params import PARAMS, Dumper

OWN = {"params.yaml", "dvc.lock"}  # what a worktree keeps to itself


@contextmanager
def opened(home: Path, changed: Mapping[str, Any] | None) -> Iterator[Path]:
    """Yield the folder for a run, locked: the checkout, or the worktree for the `changed` parameters.

    A second run in it is refused.
    """
    check_checkout(home)
    root = home
    if changed is not None:
        name = hashlib.sha256(json.dumps(changed, sort_keys=True).encode()).hexdigest()[:12]
        root = home / ".workspaces" / name
    with locked(lock_of(home, root)):
        if changed is not None:
            lay_out(home, root, changed)
        yield root


def lock_of(home: Path, root: Path) -> Path:
    """The lock of a workspace."""
    return home / "state" / f"{root.name if root != home else 'checkout'}.lock"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file; the operating system frees it when this process ends, however it ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path, timeout=0):
            yield
    except Timeout:
        raise UserError(
            f"another run is at work here (it holds {path})", "wait for its end, or use a clone of your own"
        ) from None


def lay_out(home: Path, root: Path, params: Mapping[str, Any]) -> None:
    """Make or refresh the worktree: the checkout's code as it stands, the effective params.yaml."""
    head = git(home, "rev-parse", "HEAD").strip()
    if not is_worktree(home, root):
        shutil.rmtree(root, ignore_errors=True)
        git(home, "worktree", "prune")
        git(home, "worktree", "add", "--force", "--detach", "--no-checkout", str(root), head)
    git(root, "reset", "--quiet", head)
    copy_code(home, root)
    with replacing(root / PARAMS) as part:
        part.write_text("# Written by the flow from the checkout's params.yaml, a preset and overrides.\n")
        with part.open("a") as file:
            yaml.dump(dict(params), file, Dumper, sort_keys=False)
    share_cache(home, root)


def is_worktree(home: Path, root: Path) -> bool:
    """Whether a folder is a worktree of this checkout. git has their paths, so one that was moved or copied is none."""
    lines = git(home, "worktree", "list", "--porcelain").splitlines()
    return (root / ".git").exists() and f"worktree {root}" in lines


def copy_code(home: Path, root: Path) -> None:
    """Bring the worktree's files to the state of the checkout's code."""
    wanted = code(home) - OWN
    for name in listed(root, "--cached", "--others") - wanted - OWN:
        (root / name).unlink(missing_ok=True)
    for name in sorted(wanted):
        source, target = home / name, root / name
        if not source.exists():
            target.unlink(missing_ok=True)
        elif not target.exists() or not filecmp.cmp(source, target, shallow=False):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def code(home: Path) -> set[str]:
    """The files of a checkout that its worktrees have too; the module says which."""
    packages = [f":(top,literal){path.parent.name}" for path in home.glob("*/__init__.py")]
    beside = [f":(top,glob)*.{ending}" for ending in ("py", "toml", "yaml")]
    return listed(home, "--cached") | listed(home, "--others", "--", *packages, *beside)


def listed(folder: Path, *which: str) -> set[str]:
    """The tracked (--cached) or the new files (--others), without the ignored ones and without checkouts within it."""
    names = git(folder, "ls-files", "-z", "--exclude-standard", *which)
    return {name for name in names.split("\0") if name and not (folder / name).is_dir()}


def share_cache(home: Path, root: Path) -> None:
    """Point the worktree's DVC at the checkout's cache and at its local settings (remotes, say)."""
    local = home / ".dvc" / "config.local"
    if local.exists():
        shutil.copy2(local, root / ".dvc" / "config.local")
    with Repo(str(home)) as checkout, Repo(str(root)) as worktree, worktree.config.edit("local") as config:
        config.setdefault("cache", {})["dir"] = checkout.cache.local_cache_dir


def git(folder: Path, *words: str) -> str:
    """The output of a git command in `folder`; a UserError with git's own words if it fails."""
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True)
    if done.returncode:
        problem = (done.stderr.strip() or f"git {words[0]} failed").splitlines()[-1]
        raise UserError(f"git {words[0]} in {folder}: {problem}", "mend the checkout, or clone it anew")
    return done.stdout


def assignments(overrides: Mapping[str, Any]) -> Iterator[str]:
    """Overrides as the `section.key=value` words that give them again.

    >>> [*assignments({"rank": {"beams": 3}, "losses": {"item": {"alpha": 1e-05}}, "sweep": None})]
    ['rank.beams=3', 'losses.item={alpha: 1.0e-05}', 'sweep=null']
    """
    for section, values in overrides.items():
        if isinstance(values, Mapping) and values:
            yield from (f"{section}.{key}={as_yaml(value)}" for key, value in values.items())
        else:
            yield f"{section}={as_yaml(values)}"


def as_yaml(value: Any) -> str:
    """A value in YAML's short form. (What JSON writes is not always read as the same value.)"""
    how: dict[str, Any] = {"default_flow_style": True, "sort_keys": False, "width": math.inf}
    return yaml.dump([value], Dumper=Dumper, **how)[1:-2]  # within a list: alone it would have an end marker
