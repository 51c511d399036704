"""The committed dvc.lock belongs to the committed code: whoever changes a stage commits its new results."""

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
        code = [
            (stage.name, dep)
            for stage in repo.index.stages
            for dep in stage.deps
            if dep.def_path.startswith(("arrange/", "tasks/"))
        ]
        for name, dep in code:
            assert not dep.status(), f"{name}: {dep.def_path} has changed: make run, and commit dvc.lock"
    for name, entry in lock.items():
        for key, value in entry.get("params", {}).get("params.yaml", {}).items():
            assert lookup(params, key) == value, f"{name}: {key} has changed: make run, and commit dvc.lock"


def lookup(params, dotted):
    for key in dotted.split("."):
        params = params[key]
    return params
