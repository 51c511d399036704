"""A training goes on from a checkpoint that is as it was written, or from the one before: always to the same bits."""

import json
import shutil
from pathlib import Path

import pytest
import tiny

from arrange.files import sha256
from arrange.training.checkpoints import last_whole, mark_whole


def checkpoint(folder, step, best=None):
    """A whole one; `best` is the step of the best one so far."""
    made = folder / f"checkpoint-{step}"
    (made / "deeper").mkdir(parents=True)
    (made / "deeper" / "weights").write_bytes(bytes(1000))
    state = {"best_model_checkpoint": best and f"another/folder/checkpoint-{best}"}
    (made / "trainer_state.json").write_text(json.dumps(state))
    mark_whole(made)
    return made


def test_a_checkpoint_that_was_not_finished_is_removed(tmp_path):
    checkpoint(tmp_path, 10)
    newest = checkpoint(tmp_path, 20)
    (checkpoint(tmp_path, 100) / "whole").unlink()
    assert last_whole(tmp_path) == newest
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-10", "checkpoint-20"]
    assert last_whole(tmp_path / "nothing") is None


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def a_folder(path):
    path.unlink()
    path.mkdir()


DAMAGES = {
    "missing": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "a bit": flip,
    "a folder": a_folder,
    "a list": lambda path: path.write_text("[1]"),
    "not UTF-8": lambda path: path.write_bytes(b"\xff"),
}


@pytest.mark.parametrize("file", ["whole", "trainer_state.json", "deeper/weights"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_changed_checkpoint_is_not_whole(damage, file, tmp_path):
    before, changed = checkpoint(tmp_path, 10), checkpoint(tmp_path, 20)
    DAMAGES[damage](changed / file)
    assert last_whole(tmp_path) == before
    assert not changed.exists()


def test_without_the_best_one_no_later_one_is_whole(tmp_path):
    first = checkpoint(tmp_path, 10)
    flip(checkpoint(tmp_path, 20, best=20) / "deeper" / "weights")
    checkpoint(tmp_path, 30, best=20)
    assert last_whole(tmp_path) == first
    assert list(tmp_path.iterdir()) == [first]


def test_what_else_lies_there_is_left_alone(tmp_path):
    (tmp_path / "checkpoint-5").touch()  # a file in the place of one
    (tmp_path / "checkpoint-notes").touch()
    (tmp_path / "checkpoint-").mkdir()
    assert last_whole(tmp_path) is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-", "checkpoint-notes"]


class StoppedError(Exception):
    pass


def stop(step):
    if step == 25:
        raise StoppedError


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The weights of an unbroken training, and the folder of one that was stopped; the first checkpoint is the best."""
    folder = tmp_path_factory.mktemp("training")
    tiny.trained(folder / "whole", tiny.ranker(dropout=0.2))
    with pytest.raises(StoppedError):
        tiny.trained(folder / "stopped", tiny.ranker(dropout=0.2), progress=stop)
    return sha256(folder / "whole/model/model.safetensors"), folder / "stopped"


@pytest.mark.parametrize(
    ("step", "file", "goes_on_at"),
    [
        (20, "optimizer.pt", 11),
        (20, "scheduler.pt", 11),
        (20, "rng_state.pth", 11),
        (20, "trainer_state.json", 11),
        (10, "model.safetensors", 1),
    ],
)
@pytest.mark.parametrize("damage", ["missing", "a bit"])
def test_a_training_with_a_damaged_checkpoint_ends_with_the_same_bits(damage, step, file, goes_on_at, made, tmp_path):
    shutil.copytree(made[1], tmp_path / "a")
    DAMAGES[damage](tmp_path / "a" / "unfinished" / f"checkpoint-{step}" / file)
    steps = []
    tiny.trained(tmp_path / "a", tiny.ranker(dropout=0.2), progress=steps.append)
    assert steps[0] == goes_on_at
    assert sha256(tmp_path / "a/model/model.safetensors") == made[0]
