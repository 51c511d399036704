"""The parts of the flows that need no server."""

from pathlib import Path

import pytest

from arrange.errors import UserError
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


@pytest.mark.parametrize("words", [[], ["finetune.steps=3", 'matrix.loss=["ntp"]', 'prepare_wordnet.root="a b"']])
def test_overrides_give_the_words_that_give_them(words):
    assert list(assignments(parse_overrides(words))) == words


def test_a_lock_is_held_once_and_freed_after(tmp_path):
    path = tmp_path / "deep" / "a.lock"
    with locked(path), pytest.raises(UserError, match="another run is at work"), locked(path):
        pass
    with locked(path):
        pass
