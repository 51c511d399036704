"""Files of DVC's and of earlier runs that a merge, a full disk or a crash has damaged."""

import json
from pathlib import Path

import pytest
from dvc.repo import Repo

from arrange.errors import UserError
from arrange.files import sha256
from flows import prune, stages
from flows.run import is_recorded
from flows.show import latest
from records import log, store
from records.states import read_record

WHOLE = "schema: '2.0'\nstages:\n  a:\n    cmd: echo\n"
LOCKS = {
    "conflict": f"<<<<<<< ours\n{WHOLE}=======\n{WHOLE}>>>>>>> theirs\n".encode(),
    "cut": WHOLE[:-6].encode(),
    "empty": b"",
    "list": b"[]",
    "no stages": b"schema: '2.0'\n",
    "no text": b"\xff\x00\xfe",
}
NOTES = {"cut": b'{"done": 1, "to', "empty": b"", "list": b"[1]", "other": b'{"a": 1}', "no text": b'{"\xff"}'}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The top of a project of DVC's with one stage; the test works there."""
    monkeypatch.chdir(tmp_path)
    Repo.init(no_scm=True).close()
    Path("dvc.yaml").write_text("stages:\n  a:\n    cmd: echo\n")
    Path("dvc.lock").write_text(WHOLE)
    Path("params.yaml").write_text("{}")
    return tmp_path


@pytest.mark.parametrize("content", LOCKS.values(), ids=LOCKS)
def test_a_damaged_dvc_lock_is_told_before_dvc_reads_it(home, content):
    assert stages.graph(home, ["a"])[0] == {"a": []}
    Path("dvc.lock").write_bytes(content)
    with pytest.raises(UserError) as told:
        stages.graph(home, ["a"])
    assert told.value.what.startswith(f"{home / 'dvc.lock'} is damaged")
    assert told.value.remedy.startswith("take it from git again, or remove it")


def test_records_and_prune_refuse_a_damaged_dvc_lock_and_do_without_one(home, monkeypatch):
    monkeypatch.setenv(store.TRACKING, f"sqlite:///{home / 'mlflow.db'}")
    log.log("FINISHED")
    Path("dvc.lock").write_bytes(LOCKS["conflict"])
    for read in (lambda: log.log("FINISHED"), lambda: prune.prune(home, go=True)):
        with pytest.raises(UserError, match=r"dvc\.lock is damaged"):
            read()
    Path("dvc.lock").unlink()
    log.log("FINISHED")


@pytest.mark.parametrize("content", NOTES.values(), ids=NOTES)
def test_what_earlier_runs_noted_is_left_out_where_it_is_damaged(home, content):
    folder = home / "state" / "a"
    folder.mkdir(parents=True)
    record, progress, mark = folder / "record.json", folder / "progress.jsonl", home / "state" / "recorded"
    record.write_text(json.dumps({"seconds": 2.0, "params": sha256(Path("params.yaml"))}))
    assert read_record("a")["seconds"] == 2.0
    for path in (record, mark):
        path.write_bytes(content)
    assert read_record("a") == {}
    assert not is_recorded(home)
    whole = {"done": 1, "total": 2, "unit": "steps"}
    progress.write_bytes(json.dumps(whole).encode() + b"\n" + content + b"\n")
    assert latest(progress) == whole
    progress.write_bytes(content)
    assert latest(progress) is None
