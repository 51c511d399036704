"""Unfinished work of a stage: taken up by the same stage with the same inputs, removed when it is done."""

import re
from pathlib import Path

import pytest
import yaml

from tasks import stage

PROJECT = Path(__file__).parents[1]
DVC_YAML = """
stages:
  prepare:
    cmd: python -m tasks.prepare
    params: [rank.beams]
    deps: [code.py]
    outs: [data]
  thing:
    foreach: ${rankers}
    do:
      cmd: python -m tasks.thing ${key}
      deps: [code.py, "docids/${item.data}-${item.docids}", "data/${item.data}/queries"]
      params: [rank, "rankers.${key}", "losses.${item.loss}"]
      outs: ["models/${key}"]
"""


def ranker(**changes):
    return {"data": "wordnet", "docids": "text", "loss": "item", "seed": 1} | changes


SECTIONS = {
    "rank": {"beams": 3},
    "rankers": {"a": ranker(), "b": ranker(loss="ntp")},
    "losses": {"item": {"alpha": 1.0}, "ntp": {}},
    "other": 1,
}
FILES = ("code.py", "docids/wordnet-text/docids", "docids/wordnet-text/tokenizer/vocabulary", "data/wordnet/queries")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder in which the stage thing@a may start."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_STAGE", "thing@a")
    Path("dvc.yaml").write_text(DVC_YAML)
    write_params()
    for name in (*FILES, "docids/wordnet-rq/docids", "not named"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(f"first {name}")
    return tmp_path


def write_params(**sections):
    Path("params.yaml").write_text(yaml.safe_dump(SECTIONS | sections))


@pytest.mark.parametrize(
    "sections",
    [
        {"rank": {"beams": 4}},
        {"rank": {"beams": 3, "threads": 1}},
        {"rankers": {"a": ranker(seed=2)}},
        {"rankers": {"a": ranker(docids="rq")}},
        {"losses": {"item": {"alpha": float("inf")}}},
        {"losses": {"item": {"alpha": 1.0, "gamma": 2}}},
    ],
)
def test_inputs_differ_with_a_parameter_that_the_stage_names(project, sections):
    before = stage.inputs_hash()
    write_params(**sections)
    assert stage.inputs_hash() != before


@pytest.mark.parametrize(
    "sections",
    [
        {},
        {"other": 2},
        {"rankers": {"a": ranker(), "b": ranker(seed=2), "c": ranker()}},
        {"losses": {"item": {"alpha": 1.0}, "ntp": {"gamma": 2}}},
        {"rankers": {"a": dict(reversed(ranker().items()))}},
    ],
)
def test_inputs_are_the_same_with_what_other_stages_name(project, sections):
    before = stage.inputs_hash()
    Path("params.yaml").write_text("# a remark\n" + yaml.safe_dump(SECTIONS | sections, sort_keys=False))
    assert stage.inputs_hash() == before


@pytest.mark.parametrize("name", FILES)
def test_inputs_differ_with_the_bytes_and_the_place_of_every_file_below_a_dependency(project, name):
    before = stage.inputs_hash()
    Path(name).write_text("another")
    changed = stage.inputs_hash()
    Path(name).write_text(f"first {name}")
    assert stage.inputs_hash() == before != changed


def test_inputs_differ_with_a_new_file_and_a_renamed_one(project):
    before = stage.inputs_hash()
    new = Path("docids/wordnet-text/trie")
    new.write_text("")
    added = stage.inputs_hash()
    new.rename("docids/wordnet-text/trie2")
    assert len({before, added, stage.inputs_hash()}) == 3


def test_inputs_are_the_same_with_files_that_are_no_dependency(project):
    before = stage.inputs_hash()
    for name in ("not named", "docids/wordnet-rq/docids", "dvc.yaml"):
        path = Path(name)
        path.write_text(path.read_text() + "\n# more\n")
    assert stage.inputs_hash() == before


def test_stages_differ_in_their_inputs_and_one_without_items_has_some_too(project, monkeypatch):
    found = {stage.inputs_hash()}
    for name in ("thing@b", "prepare"):
        monkeypatch.setenv("DVC_STAGE", name)
        found.add(stage.inputs_hash())
    assert len(found) == 3
    Path("code.py").write_text("another")
    assert stage.inputs_hash() not in found


def test_the_templates_of_the_projects_dvc_yaml_are_all_filled_in(monkeypatch):
    monkeypatch.chdir(PROJECT)
    filled, real = [], stage.fill
    monkeypatch.setattr(stage, "fill", lambda *words: filled.append(real(*words)) or filled[-1])
    monkeypatch.setattr(stage, "folder", lambda: Path("state/finetune@wordnet-item"))
    assert re.fullmatch("[0-9a-f]{16}", stage.inputs_hash())
    assert {"rankers.wordnet-item", "losses.item", "docids/wordnet-text/tokenizer"} <= set(filled)
    assert not [text for text in filled if "$" in text]


def test_unfinished_work_is_taken_up_by_the_same_stage_with_the_same_inputs_alone(project, monkeypatch):
    mine = stage.resumable()
    (mine / "checkpoint-5").mkdir()
    assert stage.resumable() == mine == Path("state/thing@a/unfinished", stage.inputs_hash())
    assert [path.name for path in mine.iterdir()] == ["checkpoint-5"]

    monkeypatch.setenv("DVC_STAGE", "thing@b")
    assert list(stage.resumable().iterdir()) == []
    monkeypatch.setenv("DVC_STAGE", "thing@a")
    assert (mine / "checkpoint-5").exists()

    write_params(rank={"beams": 4})
    other = stage.resumable()
    assert list(other.iterdir()) == []
    assert list(other.parent.iterdir()) == [other]  # the work on other inputs is gone
    write_params()
    assert list(stage.resumable().iterdir()) == []


def test_a_finished_stage_leaves_no_unfinished_work_of_its_own(project, monkeypatch):
    mine = stage.resumable()
    (mine / "checkpoint-5").mkdir()
    monkeypatch.setenv("DVC_STAGE", "thing@b")
    others = stage.resumable()
    stage.finished()
    assert not others.parent.exists()
    assert (mine / "checkpoint-5").exists()
    stage.finished()  # there may be none
