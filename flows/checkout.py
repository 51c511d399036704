"""Whether a run can work in a checkout. A flow asks before anything slow is imported."""

import os
import shutil
from pathlib import Path

from arrange.errors import UserError

NO_ROOM = 10**7  # bytes: with less, a disk is as good as full


def check_checkout(home: Path) -> None:
    """Refuse a folder in which a run could not work or not finish."""
    if not (home / ".git").exists():
        raise UserError(
            f"{home} is no git checkout (.git is missing), and DVC needs one",
            "clone the project, or: git init && git add -A && git commit -m start",
        )
    if not os.access(home, os.W_OK):
        raise UserError(f"{home} can't be written to", "clone into a folder of your own, or mend its permissions")
    free = shutil.disk_usage(home).free
    if free < 10**9:
        raise UserError(f"{free / 1e6:.0f} MB are free in {home}; a run needs 1,000", "make room, e.g. by `make clean`")


def problem_of_disk(root: Path, text: str = "") -> str:
    """Two lines if the text, or the disk itself, says that nothing can be written; "" else."""
    if not os.access(root, os.W_OK) or "Read-only file system" in text:
        return f"{root} can't be written to\nmend the disk or the permissions; the same command goes on from here"
    signs = ("No space left on device", "disk is full", "Disk quota exceeded")
    if shutil.disk_usage(root).free < NO_ROOM or any(sign in text for sign in signs):
        return f"the disk is full: {root}\nmake room (`make prune` finds some); the same command goes on from here"
    return ""
