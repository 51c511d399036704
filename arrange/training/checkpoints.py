"""Checkpoints are marked when they are whole, so that a training killed at any moment continues at the last one."""

import json
import logging
from pathlib import Path

from arrange.files import remove, replacing, sha256

WHOLE = "whole"  # a file, written last: the SHA-256 of each of the others
STATE = "trainer_state.json"  # transformers' name

logger = logging.getLogger(__name__)


def mark_whole(checkpoint: Path) -> None:
    """Mark a checkpoint: all of its files are written."""
    files = sorted(path for path in checkpoint.rglob("*") if path.is_file() and path.name != WHOLE)
    with replacing(checkpoint / WHOLE) as part:
        part.write_text(json.dumps({str(path.relative_to(checkpoint)): sha256(path) for path in files}, indent=1))


def last_whole(folder: Path) -> Path | None:
    """The newest whole checkpoint (`checkpoint-<step>`) in a folder, None if there is none. Others are removed.

    A checkpoint is whole if its files are as they were when it was marked, and if the best one so far, whose weights
    the training may end with, is so too.
    """
    steps = {path.name.removeprefix("checkpoint-"): path for path in folder.glob("checkpoint-*")}
    checkpoints = [steps[step] for step in sorted(filter(str.isdecimal, steps), key=int)]
    unchanged = {path for path in checkpoints if _is_unchanged(path)}
    whole = [path for path in checkpoints if path in unchanged and unchanged.issuperset(_best(path))]
    for path in checkpoints:
        if path not in whole:
            logger.warning("%s isn't whole and is removed", path)
            remove(path)
    return whole[-1] if whole else None


def _is_unchanged(checkpoint: Path) -> bool:
    try:
        sums = dict(json.loads((checkpoint / WHOLE).read_text()))
        return STATE in sums and all(sha256(checkpoint / name) == value for name, value in sums.items())
    except (OSError, ValueError, TypeError):
        return False


def _best(checkpoint: Path) -> list[Path]:
    """The best checkpoint so far, where the training looks for one."""
    best = json.loads((checkpoint / STATE).read_text())["best_model_checkpoint"]
    return [checkpoint.with_name(Path(best).name)] if best else []
