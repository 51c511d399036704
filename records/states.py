"""The state of a stage: what DVC knows of it, and what its last run noted of itself."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dvc.repo import Repo
from dvc.stage import PipelineStage
from networkx import descendants

from arrange.files import sha256
from settings.params import PARAMS


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
    """What the stage's last run in `root` noted of itself, {} if there is none or params.yaml has changed since."""
    path = root / "state" / stage / "record.json"
    record = json.loads(path.read_text()) if path.exists() else {}
    return record if record.get("params") == sha256(root / PARAMS) else {}
