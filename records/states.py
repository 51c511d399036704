"""The state of a stage: what DVC knows of it, and the record that its last run has left."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from dvc.stage import PipelineStage
from dvc.utils.strictyaml import validate
from networkx import descendants

from arrange.errors import UserError
from arrange.files import sha256
from settings.params import PARAMS


def read_lock(root: Path) -> dict[str, Any]:
    """The entries of a folder's dvc.lock by their stages, {} where there is none.

    Raises UserError for one that DVC can't use: a merge or a full disk has damaged it.
    """
    path = root / "dvc.lock"
    try:
        content = yaml.load(path.read_text(), yaml.CSafeLoader)
        validate(content, COMPILED_LOCKFILE_SCHEMA)
        return dict(content["stages"])
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, yaml.YAMLError, DvcException):
        remedy = "take it from git again, or remove it; then `make run` restores from DVC's cache what is done"
        raise UserError(f"{path} is damaged: it is no lock file of DVC's", remedy) from None


def stage_hash(entry: Mapping[str, Any]) -> str:
    """The identity of a stage's state, of its entry in dvc.lock: command, dependencies, parameters and outputs."""
    return hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()


def inputs_hash(name: str) -> str:
    """The hash of what a stage depends on, as it is now: the parameters, code and data that dvc.yaml names."""
    with Repo() as repo:
        stage = repo.stage.load_one(name=name)
        stage.save_deps(allow_missing=True)
        inputs = [(dep.def_path, dep.hash_info.value) for dep in stage.deps]
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, default=str).encode()).hexdigest()[:16]


def done_stages(repo: Repo, lock: Mapping[str, Any]) -> dict[str, PipelineStage]:
    """The stages with a state to record: `is_done`, and so are all that they wait for.

    What comes after a change keeps its old outputs until it runs again, and belongs to no run with the new parameters.
    """
    stages = [each for each in repo.index.stages if isinstance(each, PipelineStage)]
    stale = {each for each in stages if not is_done(each, lock)}
    return {each.name: each for each in stages if not stale & {each, *descendants(repo.index.graph, each)}}


def is_done(stage: PipelineStage, lock: Mapping[str, Any]) -> bool:
    """Whether a stage's entry in dvc.lock is of the command, parameters, dependencies and outputs that are there."""
    is_recorded = stage.name in lock and stage.name != "track" and not stage.cmd_changed
    return is_recorded and not any(each.status() for each in (*stage.deps, *stage.outs))


def read_record(stage: str, root: Path = Path()) -> dict[str, Any]:
    """The record that the stage's last run in `root` has left.

    {} if there is none, if it can't be read (no output depends on it), or if params.yaml has changed since.
    """
    try:
        record = json.loads((root / "state" / stage / "record.json").read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return record if isinstance(record, dict) and record.get("params") == sha256(root / PARAMS) else {}
