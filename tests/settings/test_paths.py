"""The user's places: relative ones are relative to the checkout, whatever folder a run works in."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sections import SECTIONS

from settings import params, paths

BASE = Path("/home/me/a checkout")


@pytest.mark.parametrize(
    ("uri", "there"),
    [
        ("sqlite:///rel.db", "sqlite:////home/me/a checkout/rel.db"),
        ("sqlite:///../team/rel.db?timeout=9", "sqlite:////home/me/team/rel.db?timeout=9"),
        ("sqlite+pysqlite:///rel.db", "sqlite+pysqlite:////home/me/a checkout/rel.db"),
        ("sqlite:///file:rel.db?mode=rw&uri=true", "sqlite:///file:/home/me/a checkout/rel.db?mode=rw&uri=true"),
        ("sqlite:///~/mine.db", "sqlite:////users/me/mine.db"),
        ("sqlite:////abs/a.db", "sqlite:////abs/a.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("sqlite://", "sqlite://"),
        ("http://host:5000", "http://host:5000"),
        ("postgresql://me:secret@host/base", "postgresql://me:secret@host/base"),
        ("databricks", "databricks"),
        ("databricks://profile", "databricks://profile"),
    ],
)
def test_addresses(monkeypatch, uri, there):
    monkeypatch.setenv("HOME", "/users/me")
    assert paths.absolute_address(uri, BASE) == there
    assert paths.absolute_address(there, Path("/elsewhere")) == there


def test_the_places_of_the_environment():
    given = {
        "MLFLOW_TRACKING_URI": "sqlite:///models.db",
        "WORDNET_DIR": "../wn",
        "HF_HOME": "/abs",
        "X": "y",
    }
    assert paths.of_environment(given, BASE) == {
        "MLFLOW_TRACKING_URI": "sqlite:////home/me/a checkout/models.db",
        "WORDNET_DIR": "/home/me/wn",
        "HF_HOME": "/abs",
    }


@pytest.mark.parametrize("inside", [".workspaces/0a1b2c3d4e5f", ".dvc/tmp/exps/tmp1"])
def test_a_stage_that_works_elsewhere_finds_the_places_of_its_environment(tmp_path, inside):
    """Before any other import: libraries read some of these when they are imported."""
    folder = tmp_path / inside
    folder.mkdir(parents=True)
    env = os.environ | {"WORDNET_DIR": "wn", "HF_HOME": "../hub", "PYTHONPATH": str(Path(__file__).parents[2])}
    env |= {"DVC_ROOT": str(tmp_path)} if "exps" in inside else {}
    code = "import tasks, os; from huggingface_hub import constants as c; print(os.environ['WORDNET_DIR'], c.HF_HOME)"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, text=True)
    assert done.stdout.split() == [str(tmp_path / "wn"), str(tmp_path.parent / "hub")], done.stderr


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """The user's folder, with a folder for each word that some parameter may have."""
    home = tmp_path / "checkout"
    names = ("mine/model", "base_models/scratch", "tfidf-svd", "wordnet", "data/raw/products", "item", "sum", "steps")
    for name in (*names, "../beside"):
        (home / name).mkdir(parents=True)
    monkeypatch.chdir(home)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return home


NAMED = {
    "finetune": {"model": "../beside"},
    "docids": {"vectoriser": {"name": "mine/model"}},
    "datasets": {"more": {"source": "folder", "raw": "mine"}},
    "baselines": {
        "wordnet-encoder": {
            **{"data": "wordnet", "docids": "text", "kind": "encoder", "model": "mine/model", "seed": 1},
            **{"max_tokens": 9, "steps": 0, "learning_rate": 1.0},
        }
    },
}


def test_folders_that_overrides_name_are_the_user_s(checkout):
    found = params.effective(SECTIONS, None, NAMED)
    beside, mine = str(checkout.parent / "beside"), str(checkout / "mine")
    assert found["finetune"]["model"] == beside
    assert found["docids"]["vectoriser"]["name"] == f"{mine}/model"
    assert found["datasets"]["more"]["raw"] == mine
    assert found["baselines"]["wordnet-encoder"]["model"] == f"{mine}/model"
    assert params.effective(found, None, {"rank": {"beams": 3}})["finetune"]["model"] == beside


def test_a_folder_that_params_yaml_names_is_found_from_a_workspace_and_stays_in_the_checkout(checkout):
    start = params.apply(SECTIONS, {"finetune": {"model": str(checkout / "mine/model")}})
    assert params.effective(start, None, {}) == start
    in_workspace = params.effective({**start, "presets": {"few": {}}}, "few", {})
    assert in_workspace == params.apply(start, {"finetune": {"model": str(checkout / "mine/model")}})


@pytest.mark.parametrize(
    "overrides",
    [
        {"rank": {"beams": 3}},
        {"finetune": {"model": "base_models/scratch"}},  # words and names, though there are such folders
        {"docids": {"vectoriser": {"name": "tfidf-svd"}}},
        {"datasets": {"products": {"raw": "data/raw/products"}}},
        {"prompt": {"score": "sum"}, "evaluate": {"reference": "item"}},
    ],
)
def test_what_is_no_folder_of_the_user_s_stays(checkout, overrides):
    assert params.effective(SECTIONS, None, overrides) == params.apply(SECTIONS, overrides)
