"""A workspace: a git worktree that follows the checkout, also when that was moved or copied."""

import os
import shutil
import subprocess
import tracemalloc
from contextlib import ExitStack

import pytest
import yaml
from dvc.repo import Repo

from arrange.errors import UserError
from flows.prune import prune_workspaces
from flows.workspace import git, lay_out, lock_of, locked

PARAMS = {"rank": {"beams": 3}}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A checkout of one file, under DVC."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    home = tmp_path / "first"
    checkout_of(home, "dvc.yaml", "stages: {}\n")
    Repo.init(str(home)).close()
    (home / ".gitignore").write_text("/.workspaces/\n/state/\n")
    commit(home)
    return home


def checkout_of(folder, name, text):
    folder.mkdir()
    (folder / name).write_text(text)
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    commit(folder)


def commit(folder):
    git(folder, "add", "-A")
    git(folder, "-c", "user.name=A", "-c", "user.email=a@example.invalid", "commit", "--quiet", "-m", "more")


def laid_out(home):
    """The workspace of a checkout, with the checkout's code in it."""
    root = home / ".workspaces" / "0123"
    lay_out(home, root, PARAMS)
    assert yaml.safe_load((root / "params.yaml").read_text()) == PARAMS
    assert (root / "dvc.yaml").read_text() == (home / "dvc.yaml").read_text()
    return root


def test_a_workspace_keeps_what_it_has_and_follows_the_code(home):
    root = laid_out(home)
    (root / "models").mkdir()
    (home / "dvc.yaml").write_text("stages: {}  # changed\n")
    assert laid_out(home) == root
    assert (root / "models").exists()


@pytest.mark.parametrize("go", [shutil.move, shutil.copytree])
def test_a_workspace_that_went_along_with_its_checkout_is_made_anew(home, go):
    laid_out(home)
    there = home.with_name("second")
    go(home, there)
    root = laid_out(there)
    assert git(root, "rev-parse", "--show-toplevel").strip() == str(root)
    assert git(root, "rev-parse", "--git-common-dir").strip() == str(there / ".git")
    assert git(root, "status", "--porcelain") == "?? params.yaml\n"


def write(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def files(folder):
    """The files of a worktree, without git's and DVC's own."""
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    return {name for name in names if not name.startswith(".") and name != "params.yaml"}


def test_new_code_is_copied_and_new_data_is_not(home):
    code = {"helpers.py", "extra.yaml", "pyproject.toml", "rooms/__init__.py", "rooms/inner/new.py", "rooms/words.md"}
    write(home, *code, "mydata/queries.csv", "mydata/read.py", "mydata/deep/a.yaml", "notes.csv", "rooms/x.ignored")
    (home / ".gitignore").write_text("/.workspaces/\n/state/\n*.ignored\n")
    assert files(laid_out(home)) == {"dvc.yaml", *code}
    git(home, "add", "mydata")  # tracked: a stage may name it as a dependency
    assert files(laid_out(home)) == {"dvc.yaml", *code, "mydata/queries.csv", "mydata/read.py", "mydata/deep/a.yaml"}


def test_tracked_files_are_as_they_are_in_the_checkout(home):
    write(home, "changed.txt", "removed.txt", "staged.txt")
    commit(home)
    laid_out(home)
    write(home, "added.txt")
    git(home, "add", "added.txt")
    (home / "changed.txt").write_text("CHANGED.TXT")  # of the same size
    (home / "removed.txt").unlink()
    root = laid_out(home)
    assert files(root) == {"dvc.yaml", "changed.txt", "staged.txt", "added.txt"}
    assert (root / "changed.txt").read_text() == "CHANGED.TXT"


def test_what_an_older_version_copied_and_what_is_no_code_any_more_goes(home):
    write(home, "rooms/__init__.py", "rooms/new.py", "mydata/queries.csv")
    root = laid_out(home)
    write(root, "mydata/queries.csv")
    (home / "rooms/new.py").unlink()
    assert files(laid_out(home)) == {"dvc.yaml", "rooms/__init__.py"}


def test_large_files_are_compared_piece_by_piece(home):
    with (home / "large.bin").open("wb") as file:
        file.truncate(50_000_000)
    commit(home)
    laid_out(home)
    tracemalloc.start()
    try:
        laid_out(home)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000


def test_a_clone_within_the_checkout_is_not_copied(home):
    checkout_of(home / "nested", "other.txt", "mine")
    root = laid_out(home)
    assert not (root / "nested").exists()
    assert laid_out(home) == root


def test_only_what_is_free_is_pruned_and_nobody_starts_there_meanwhile(home):
    (home / ".workspaces" / "4567").mkdir(parents=True)
    root = laid_out(home)
    with locked(lock_of(home, home / ".workspaces" / "4567")), ExitStack() as held:
        assert prune_workspaces(home, held, go=False) == [root]
        with pytest.raises(UserError, match="another run is at work"), locked(lock_of(home, root)):
            pass
    with locked(lock_of(home, root)):
        pass


def test_a_workspace_that_was_moved_is_pruned(home):
    laid_out(home)
    there = home.with_name("second")
    home.rename(there)
    root = there / ".workspaces" / "0123"
    with ExitStack() as held:
        assert prune_workspaces(there, held, go=False) == [root]
        assert root.exists()
    with ExitStack() as held:
        assert prune_workspaces(there, held, go=True) == [root]
    assert not root.exists()
    assert git(there, "worktree", "list", "--porcelain").count("worktree ") == 1
