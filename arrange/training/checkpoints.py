"""Checkpoints are marked when they are whole, so that a training killed at any moment continues at the last one."""

import shutil
from pathlib import Path

WHOLE = "whole"  # an empty file, written last


def mark_whole(checkpoint: Path) -> None:
    """Mark a checkpoint: all of its files are written."""
    (checkpoint / WHOLE).touch()


def last_whole(folder: Path) -> Path | None:
    """The newest whole checkpoint (`checkpoint-<step>`) in a folder, None if there is none. Others are removed."""
    checkpoints = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.partition("-")[2]))
    for path in checkpoints:
        if not (path / WHOLE).exists():
            shutil.rmtree(path)
    whole = [path for path in checkpoints if path.exists()]
    return whole[-1] if whole else None
