"""Adapters apart from the model that they were trained on: a few megabytes, which rank with that base model alone.

Their folder holds `adapter_model.safetensors` and `adapter_config.json`, as peft writes them, and `base.json`: where
the base model was, and the SHA-256 of its weights.
"""

import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from arrange.base_models.hub import snapshot
from arrange.base_models.prepare import WANTED
from arrange.errors import UserError
from arrange.files import sha256
from arrange.models import ranker as models

FOLDER = "adapter"  # in a ranker's folder
PLACE = "ARRANGE_BASE_MODEL"  # the environment variable with the folder of the base model, if it is elsewhere
NOTED = ("children_temperature", "docid_score", "new_rows_seed")  # by trainings, in a ranker's configuration


def save(ranker: torch.nn.Module, folder: Path) -> None:
    """Write a ranker's adapters, which are not merged yet, into a new folder.

    Writes none for a ranker without adapters, nor where the base model isn't a folder with safetensors.
    """
    base = Path(models.without_adapters(ranker).name_or_path or "no folder")
    hashes = weights(base)
    if not hasattr(ranker, "peft_config") or not hashes:
        return
    wrapped: Any = ranker
    wrapped.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink()  # a form to fill in
    path = folder / "adapter_config.json"
    config = {key: _sorted(value) for key, value in json.loads(path.read_text()).items()}
    path.write_text(json.dumps(config, indent=1, sort_keys=True))
    (folder / "base.json").write_text(json.dumps({"folder": str(base), "sha256": hashes}, indent=1))


def _sorted(value: Any) -> Any:
    """peft keeps names in sets, whose order differs from process to process."""
    return sorted(value) if isinstance(value, list) and all(isinstance(each, str) for each in value) else value


def weights(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file of weights in a model's folder; none for a folder that isn't there."""
    return {path.name: sha256(path) for path in sorted(folder.glob("*.safetensors"))}


def noted_base(ranker: Path) -> dict[str, Any]:
    """`folder` and `sha256` (of each file) of the base model, as a ranker's adapters have them.

    Raises UserError where the ranker's folder keeps no adapters.
    """
    try:
        base = json.loads((ranker / FOLDER / "base.json").read_text())
        return {"folder": str(base["folder"]), "sha256": dict(base["sha256"])}
    except (OSError, ValueError, KeyError, TypeError):
        what = f"{ranker} keeps no adapters: it was trained whole, or they and the base model don't make it again"
        raise UserError(what, "export it merged (export.adapters=merged), or train it with finetune.lora") from None


def base_of(ranker: Path, entry: Mapping[str, Any]) -> Path:
    """The folder of a ranker's base model, whose weights are those that it was trained on.

    It is the folder in the environment variable ARRANGE_BASE_MODEL, or that of the training, or comes from the hub
    where `entry` (of base_models) is one of the hub.
    Raises UserError where it isn't there or has other weights.
    """
    noted = noted_base(ranker)
    folder = Path(os.environ.get(PLACE) or noted["folder"])
    if PLACE not in os.environ and not folder.is_dir() and entry.get("source") == "hub":
        folder = snapshot(entry["name"], entry["revision"], WANTED, "base model")
    found = weights(folder)
    for name, digest in noted["sha256"].items():
        if found.get(name) != digest:
            problem = f"{folder} has other weights" if name in found else f"{folder} has no {name}"
            what = f"{ranker} holds adapters alone, and needs its base model: {problem}"
            raise UserError(what, f"set {PLACE} to a folder whose {name} has the sha256 {digest}")
    return folder


def load(ranker: Path, base: Path) -> PreTrainedModel:
    """The ranker that a base model and a ranker's adapters make, merged, in evaluation mode.

    Raises UserError where one of them can't be read.
    """
    from peft import PeftModel  # here: it takes a second to import

    try:
        config = json.loads((ranker / "config.json").read_text())
        if not (ranker / FOLDER / "adapter_model.safetensors").is_file():
            raise FileNotFoundError("no adapter_model.safetensors")  # peft would look for a pickle, and on the hub
        start = models.by_name(str(base), range(config["vocab_size"]), config.get("new_rows_seed", 0))
        with warnings.catch_warnings():
            warnings.filterwarnings("error", ".*missing adapter keys")
            merged: Any = PeftModel.from_pretrained(start, str(ranker / FOLDER)).merge_and_unload()
    except UserError:
        raise
    except Exception as error:  # whatever json, safetensors, transformers or peft raise on broken files
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"{ranker}: cannot load its adapters: {reason}", "export the ranker again") from error
    for name in NOTED:
        if name in config:
            setattr(merged.config, name, config[name])
    return models.checked(merged.eval(), ranker)
