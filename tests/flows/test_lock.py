"""The committed dvc.lock belongs to the committed code: whoever changes a stage commits its new results."""

import hashlib

import pytest
import yaml
from checkout import PROJECT
from dvc.repo import Repo

pytestmark = pytest.mark.slow


def test_dvc_lock_is_of_this_code_and_these_parameters():
    params = yaml.safe_load((PROJECT / "params.yaml").read_text())
    lock = yaml.safe_load((PROJECT / "dvc.lock").read_text())["stages"]
    with Repo(str(PROJECT)) as repo:
        assert {stage.name for stage in repo.index.stages} == set(lock)
    for name, entry in lock.items():
        for dep in entry["deps"]:
            path = PROJECT / dep["path"]
            if path.suffix == ".py":
                digest = hashlib.md5(path.read_bytes()).hexdigest()
                assert digest == dep["md5"], f"{name}: {path.name} has changed: make run, and commit dvc.lock"
        for key, value in entry.get("params", {}).get("params.yaml", {}).items():
            assert lookup(params, key) == value, f"{name}: {key} has changed: make run, and commit dvc.lock"


def lookup(params, dotted):
    for key in dotted.split("."):
        params = params[key]
    return params
