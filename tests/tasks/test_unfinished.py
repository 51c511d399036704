"""Unfinished work of a stage: taken up by the same stage with the same inputs, removed when it is done."""

import shutil
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo

from records.states import inputs_hash
from tasks import stage

DVC_YAML = """
stages:
  prepare:
    cmd: python -m tasks prepare
    params: [rank.beams]
    deps: [code.py]
    outs: [data]
  thing:
    foreach: ${rankers}
    do:
      cmd: python -m tasks thing ${key}
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
    Repo.init(no_scm=True).close()
    Path("dvc.yaml").write_text(DVC_YAML)
    Path(".dvcignore").write_text("__pycache__/\n")
    write_params()
    for name in (*FILES, "docids/wordnet-rq/docids", "not named"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(f"first {name}")
    return tmp_path


def hash_now():
    """The hash of the inputs of thing@a, as they are now."""
    return inputs_hash("thing@a")


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
    before = hash_now()
    write_params(**sections)
    assert hash_now() != before


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
    before = hash_now()
    Path("params.yaml").write_text("# a remark\n" + yaml.safe_dump(SECTIONS | sections, sort_keys=False))
    assert hash_now() == before


@pytest.mark.parametrize("name", FILES)
def test_inputs_differ_with_the_bytes_and_the_place_of_every_file_below_a_dependency(project, name):
    before = hash_now()
    Path(name).write_text("another")
    changed = hash_now()
    Path(name).write_text(f"first {name}")
    assert hash_now() == before != changed


def test_inputs_differ_with_a_new_file_and_a_renamed_one(project):
    before = hash_now()
    new = Path("docids/wordnet-text/trie")
    new.write_text("")
    added = hash_now()
    new.rename("docids/wordnet-text/trie2")
    assert len({before, added, hash_now()}) == 3


def test_inputs_are_the_same_with_files_that_are_no_dependency(project):
    before = hash_now()
    for name in ("not named", "docids/wordnet-rq/docids", "dvc.yaml"):
        path = Path(name)
        path.write_text(path.read_text() + "\n# more\n")
    assert hash_now() == before


def test_stages_differ_in_their_inputs_and_one_without_items_has_some_too(project):
    hashes = {inputs_hash(name) for name in ("thing@a", "thing@b", "prepare")}
    assert len(hashes) == 3
    Path("code.py").write_text("another")
    assert inputs_hash("prepare") not in hashes


def test_inputs_are_the_same_with_fresh_bytecode(project):
    before = hash_now()
    cache = Path("docids/wordnet-text/tokenizer/__pycache__")
    cache.mkdir()
    (cache / "code.pyc").write_text("bytecode")
    assert hash_now() == before


def test_unfinished_work_is_taken_up_by_the_same_stage_with_the_same_inputs_alone(project, monkeypatch):
    mine = stage.resumable()
    (mine / "checkpoint-5").mkdir()
    assert stage.resumable() == mine == Path("state/thing@a/unfinished", hash_now())
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


def test_a_file_in_the_place_of_unfinished_work_makes_room(project):
    mine = stage.resumable()
    for place in (mine, mine.with_name("other")):
        shutil.rmtree(mine)
        place.touch()
        assert stage.resumable() == mine
        assert list(mine.parent.iterdir()) == [mine]
        assert mine.is_dir()


def test_a_finished_stage_leaves_no_unfinished_work_of_its_own(project, monkeypatch):
    mine = stage.resumable()
    (mine / "checkpoint-5").mkdir()
    monkeypatch.setenv("DVC_STAGE", "thing@b")
    others = stage.resumable()
    stage.finished()
    assert not others.parent.exists()
    assert (mine / "checkpoint-5").exists()
    stage.finished()  # there may be none
