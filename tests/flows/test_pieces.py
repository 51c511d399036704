"""The parts of the flows that need no server."""

import re
from pathlib import Path

import pytest
import yaml
from checkout import PROJECT

from arrange.errors import UserError
from flows import pipeline
from flows.show import latest
from flows.stages import problem_in
from flows.workspace import assignments, locked
from tasks.params import parse_overrides

LOG = Path("logs/rank.log")
END = "ERROR: failed to reproduce 'rank': failed to run: python -m tasks.rank, exited with 1\n"


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("loading\ndata.noun, line 3: cut short\nfetch it again\n", "data.noun, line 3: cut short\nfetch it again"),
        (
            "Traceback (most recent call last):\n  File ...\nKeyError: 'x'\n",
            "KeyError: 'x'\nthis is a bug; the whole story is in logs/rank.log",
        ),
        ("", "it ended without a word (killed, or out of memory?)\nthe log is logs/rank.log"),
    ],
)
def test_the_two_lines_of_a_failed_stage(said, problem):
    log = f"Running stage 'rank':\n> python -m tasks.rank\n{said}{END}"
    assert problem_in(log, LOG) == problem


def test_dvc_s_own_failure_is_told():
    log = "ERROR: Unable to acquire lock. Most likely another DVC process is running.\n"
    assert problem_in(log, LOG).startswith("ERROR: Unable to acquire lock.")


@pytest.mark.parametrize(
    "words", [[], ["rank.beams=3", 'datasets=["wordnet"]', 'prepare_wordnet.root="a b"', "own=null"]]
)
def test_overrides_give_the_words_that_give_them(words):
    assert list(assignments(parse_overrides(words))) == words


def test_a_lock_is_held_once_and_freed_after(tmp_path):
    path = tmp_path / "deep" / "a.lock"
    with locked(path), pytest.raises(UserError, match="another run is at work"), locked(path):
        pass
    with locked(path):
        pass


def test_the_flow_names_every_stage_of_the_graph():
    assert list(yaml.safe_load((PROJECT / "dvc.yaml").read_text())["stages"]) == pipeline.STAGES


def test_the_makefile_installs_the_torch_of_the_metadata():
    (pinned,) = re.findall(r"torch==[\d.]+", (PROJECT / "pyproject.toml").read_text())
    assert re.findall(r"torch==[\d.]+", (PROJECT / "Makefile").read_text()) == [pinned]


def test_the_newest_whole_line_of_progress(tmp_path):
    file = tmp_path / "progress.jsonl"
    assert latest(file) is None
    file.write_text("")
    assert latest(file) is None
    lines = [f'{{"done": {n}, "total": 500, "unit": "steps"}}\n' for n in range(1, 501)]
    file.write_text("".join(lines))
    assert latest(file) == {"done": 500, "total": 500, "unit": "steps"}
    file.write_text("".join(lines[:300]) + '{"done": 301, "to')
    assert latest(file)["done"] == 300
