"""What every stage needs around its task: two-line errors, progress, and a record of the run.

Both files written here live in state/<stage>/, outside DVC's outs, because they differ from run to run.
"""

import ctypes
import hashlib
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

from arrange.errors import UserError
from arrange.files import replacing
from tasks.params import PARAMS

_notes: dict[str, Any] = {}
_libc = ctypes.CDLL(None)


def run(task: Callable[..., None]) -> None:
    """Run a stage's task with the words of the command line; exit 1 and two lines if the user must act."""
    end_with_parent()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    started = time.time()
    try:
        for old in ("record.json", "progress.jsonl"):
            (folder() / old).unlink(missing_ok=True)
        task(*sys.argv[1:])
        with replacing(folder() / "record.json") as part:
            part.write_text(json.dumps(record(started), indent=1))
    except UserError as error:
        sys.exit(str(error))
    except Exception as error:
        # polars, safetensors and tokenizers wrap what the system says in errors of their own: "... (os error 28)"
        if not isinstance(error, OSError) and "(os error " not in str(error):
            raise
        sys.exit(explain(error))


def explain(error: Exception) -> str:
    """Two lines on a full disk, a read-only folder, a missing input; a bug would be another exception."""
    what = " ".join(str(getattr(error, "strerror", None) or error).split())
    remedy = "make room or mend the permissions, then run again"
    if isinstance(error, FileNotFoundError):
        remedy = "`dvc repro` runs the stages that make it first"
    return f"{what}: {getattr(error, 'filename', None) or Path.cwd()}\n{remedy}"


def record(started: float) -> dict[str, Any]:
    """When and how long the stage ran, with which params.yaml, and what the task noted."""
    params = hashlib.sha256(PARAMS.read_bytes()).hexdigest()
    return {"started": started, "seconds": round(time.time() - started, 3), "params": params, "notes": _notes}


def read_record(stage: str) -> dict[str, Any]:
    """The record of a stage's last run here, {} if there is none or params.yaml has changed since."""
    path = Path("state", stage, "record.json")
    content = json.loads(path.read_text()) if path.exists() else {}
    return content if content.get("params") == hashlib.sha256(PARAMS.read_bytes()).hexdigest() else {}


def note(key: str, value: Any) -> None:
    """Add a fact that is no output (where the data came from, say) to the stage's record."""
    _notes[key] = value


@contextmanager
def progress(total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """Yield `reached(n)`: a bar on a terminal, and lines in progress.jsonl for whoever watches the stage."""
    written = 0.0
    with (folder() / "progress.jsonl").open("w") as file, tqdm(total=total, unit=unit, disable=None) as bar:

        def reached(done: int) -> None:
            nonlocal written
            bar.update(done - bar.n)
            if time.monotonic() - written > 0.5 or done == total:
                written = time.monotonic()
                print(json.dumps({"done": done, "total": total, "unit": unit}), file=file, flush=True)

        yield reached


def folder() -> Path:
    """The folder for what this stage leaves besides its outputs (DVC tells the stage's name)."""
    path = Path("state", os.environ.get("DVC_STAGE", Path(sys.argv[0]).stem).split(":")[-1])
    path.mkdir(parents=True, exist_ok=True)
    return path


def end_with_parent() -> None:
    """Ask Linux to end this process when its parent is killed, so that no orphan writes beside the next run."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        _libc.prctl(pr_set_pdeathsig, signal.SIGTERM)
