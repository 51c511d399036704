"""Checkpoints of a training: whole or not there, so that a training killed at any moment goes on from the last."""

import shutil
from pathlib import Path

WHOLE = "whole"  # an empty file, written last


def mark_whole(checkpoint: Path) -> None:
    """Say that everything of a checkpoint has been written."""
    (checkpoint / WHOLE).touch()


def last_whole(folder: Path) -> Path | None:
    """The newest whole checkpoint in a folder (`checkpoint-<step>`), if there is one; broken ones are removed."""
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.partition("-")[2]))
    for path in found:
        if not (path / WHOLE).exists():
            shutil.rmtree(path)
    whole = [path for path in found if path.exists()]
    return whole[-1] if whole else None
