"""What every stage needs around its task: two-line errors, progress, and a record of the run.

Both files written here live in state/<stage>/, outside DVC's outs, because they differ from run to run.
"""

import ctypes
import json
import logging
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
from tqdm import tqdm

from arrange.errors import UserError
from arrange.files import remove, replacing, sha256
from settings.params import PARAMS

VALIDATION = "validation.parquet"  # in a folder of runs/

_notes: dict[str, Any] = {}
# looked up here, not in `end_with_parent`: between fork and exec another thread's lock on the linker is never freed
_prctl = getattr(ctypes.CDLL(None), "prctl", None)  # Linux has it


def run(task: Callable[..., None]) -> None:
    """Run a stage's task with the words of the command line; exit 1 and two lines if the user must act."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    for noisy in ("httpx", "transformers", "bm25s"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    started = time.time()
    try:
        for old in ("record.json", "progress.jsonl"):
            (folder() / old).unlink(missing_ok=True)
        task(*sys.argv[1:])
        if is_main():
            with replacing(folder() / "record.json") as part:
                part.write_text(json.dumps(record(started), indent=1))
    except UserError as error:
        sys.exit(str(error))
    except Exception as error:
        # polars, safetensors and tokenizers wrap what the system says in errors of their own: "... (os error 28)"
        if not isinstance(error, OSError) and "(os error " not in str(error):
            raise
        sys.exit(explain(error))


def is_main() -> bool:
    """Whether this is the process that writes: of those that `accelerate launch` starts, the first."""
    return os.environ.get("RANK", "0") == "0"


def explain(error: Exception) -> str:
    """Two lines on a full disk, a read-only folder, a missing input; a bug would be another exception."""
    what = " ".join(str(getattr(error, "strerror", None) or error).split())
    remedy = "make room or mend the permissions, then run again"
    if isinstance(error, FileNotFoundError):
        remedy = "`dvc repro` runs the stages that make it first"
    return f"{what}: {getattr(error, 'filename', None) or Path.cwd()}\n{remedy}"


def record(started: float) -> dict[str, Any]:
    """When and how long the stage ran, with which params.yaml, and what the task noted.

    cpu_seconds: of all threads and ended children, imports included; of what continues a killed run, its own.
    """
    cost = {"seconds": round(time.time() - started, 3), "cpu_seconds": round(sum(os.times()[:4]), 3)}
    # the hash tells whether the record is of the parameters as they are
    return {"started": started, **cost, "params": sha256(PARAMS), "notes": _notes}


def note(key: str, value: Any) -> None:
    """Add a fact that is no output (where the data came from, say) to the stage's record."""
    _notes[key] = value


@contextmanager
def progress(total: int, unit: str) -> Iterator[Callable[..., None]]:
    """Yield `reached(n, note="")`: a bar on a terminal, and lines in progress.jsonl for whoever watches the stage."""
    written = 0.0
    place = folder() / "progress.jsonl" if is_main() else Path(os.devnull)
    with place.open("w") as file, tqdm(total=total, unit=unit, disable=None if is_main() else True) as bar:

        def reached(done: int, note: str = "") -> None:
            nonlocal written
            bar.set_postfix_str(note, refresh=False)
            bar.update(done - bar.n)
            if time.monotonic() - written > 0.5 or done == total:
                written = time.monotonic()
                line = {"done": done, "total": total, "unit": unit, **({"note": note} if note else {})}
                print(json.dumps(line), file=file, flush=True)

        yield reached


def write_validation(folder: Path, run: pl.DataFrame) -> None:
    """Write a system's run of the validation queries beside its others: fusions learn from it."""
    with replacing(folder / VALIDATION) as part:
        run.write_parquet(part)


def write_history(history: list[dict[str, float]], path: Path) -> None:
    """Write what a training logged as a table."""
    with replacing(path) as part:
        pl.DataFrame(history, infer_schema_length=None).write_csv(part)


def folder() -> Path:
    """The folder for what this stage leaves besides its outputs (DVC tells the stage's name)."""
    path = Path("state", os.environ["DVC_STAGE"].split(":")[-1])
    path.mkdir(parents=True, exist_ok=True)
    return path


def resumable() -> Path:
    """A folder for unfinished work of this stage, which outlives a kill and belongs to this state of its inputs.

    Its name is the hash of the parameters, code and data that dvc.yaml says the stage depends on, so that work
    on anything else is never taken up; what others left behind is removed.
    """
    from records.states import inputs_hash  # imports DVC, which few stages need

    parent = folder() / "unfinished"
    mine = parent / inputs_hash(folder().name)
    for other in parent.glob("*"):
        if is_main() and (other != mine or not mine.is_dir()):
            remove(other)
    mine.mkdir(parents=True, exist_ok=True)
    return mine


def finished() -> None:
    """Remove the unfinished work of this stage: its outputs are written."""
    shutil.rmtree(folder() / "unfinished", ignore_errors=True)


def end_with_parent() -> None:
    """Ask Linux to end this process when its parent is killed, so that no orphan writes beside the next run."""
    pr_set_pdeathsig = 1
    if _prctl:
        _prctl(pr_set_pdeathsig, signal.SIGTERM)
