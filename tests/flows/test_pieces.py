"""The parts of the flows that need no server."""

import re
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from threading import Event

import psutil
import pytest
from checkout import PROJECT
from packaging.requirements import Requirement
from prefect.states import Completed, Failed

from arrange.errors import UserError
from flows import servers
from flows.schedule import without_running
from flows.show import latest
from flows.stages import RAN, REUSED, problem_in
from flows.workspace import assignments, locked
from settings.params import parse_overrides

LOG = Path("logs/rank.log")
END = "ERROR: failed to reproduce 'rank': failed to run: python -m tasks rank, exited with 1\n"


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("loading\ndata.noun, line 3: cut short\nfetch it again\n", "data.noun, line 3: cut short\nfetch it again"),
        (
            "Traceback (most recent call last):\n  File ...\nKeyError: 'x'\n",
            "KeyError: 'x'\nthis is a bug; the whole output is in logs/rank.log",
        ),
        ("", "it ended without an error (killed, or out of memory?)\nthe log is logs/rank.log"),
    ],
)
def test_the_two_lines_of_a_failed_stage(said, problem):
    log = f"Running stage 'rank':\n> python -m tasks rank\n{said}{END}"
    assert problem_in(log, LOG) == problem


def test_dvc_s_own_failure_is_told():
    log = "ERROR: Unable to acquire lock. Most likely another DVC process is running.\n"
    assert problem_in(log, LOG).startswith("ERROR: Unable to acquire lock.")


@pytest.mark.parametrize(
    "words",
    [[], ["rank.beams=3", "transfer.to=[digits]", "datasets.wordnet={root: a b}", "rankers=null"]],
)
def test_overrides_give_the_words_that_give_them(words):
    assert list(assignments(parse_overrides(words))) == words


def test_a_lock_is_held_once_and_freed_after(tmp_path):
    path = tmp_path / "deep" / "a.lock"
    with locked(path), pytest.raises(UserError, match="another run is at work"), locked(path):
        pass
    with locked(path):
        pass


def test_a_stage_that_is_told_to_stop_ends_with_all_that_it_started(tmp_path):
    script = "import subprocess; child = subprocess.Popen(['sleep', '600']); print(child.pid, flush=True); child.wait()"
    (tmp_path / "stage.py").write_text(script)
    log = tmp_path / "logs" / "stage.log"
    process = servers.start(["stage"], log, {}, tmp_path)
    while not log.read_text().endswith("\n"):
        assert process.poll() is None
    child = psutil.Process(int(log.read_text()))
    servers.end(process)
    assert not psutil.wait_procs([child], timeout=30)[1]
    assert process.returncode is not None


@pytest.mark.parametrize(
    ("is_stale", "earlier", "name"),
    [
        (False, [], REUSED),
        (False, [REUSED, REUSED], REUSED),
        (False, [REUSED, RAN], None),
        (True, [REUSED], None),
        (True, [RAN, "Failed"], "Skipped"),
        (False, ["Skipped", REUSED], "Skipped"),
    ],
)
def test_a_stage_runs_where_it_or_an_earlier_one_may_have_changed(is_stale, earlier, name):
    states = {REUSED: Completed(name=REUSED), RAN: Completed(name=RAN), "Failed": Failed()}
    states["Skipped"] = without_running(False, [Failed()])
    state = without_running(is_stale, [states[each] for each in earlier])
    assert (state and state.name) == name


def test_what_is_pinned_is_among_what_the_metadata_allows():
    """torch by the Makefile, the others by requirements.lock."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    bounds = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    pins = dict(re.findall(r"^([\w.-]+)==([\w.]+)", (PROJECT / "requirements.lock").read_text(), re.MULTILINE))
    (pins["torch"],) = re.findall(r"torch==([\d.]+)", (PROJECT / "Makefile").read_text())
    for bound in map(Requirement, bounds):
        if bound.name != project["name"]:
            assert bound.specifier.contains(pins[bound.name])
            assert [each.operator for each in bound.specifier] == [">="]


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


def test_a_progress_file_that_goes_while_it_is_read_is_none(tmp_path):
    file, over = tmp_path / "progress.jsonl", Event()

    def come_and_go() -> None:
        while not over.is_set():
            file.write_text('{"done": 1}\n')
            file.unlink()

    with ThreadPoolExecutor(1) as beside:
        done = beside.submit(come_and_go)
        try:
            found = [latest(file) for _ in range(5000)]
        finally:
            over.set()
    assert done.exception() is None
    assert all(each in (None, {"done": 1}) for each in found)


def test_flows_start_without_the_libraries_that_train():
    heavy = "sorted({'torch', 'scipy', 'transformers', 'mlflow', 'matplotlib'} & sys.modules.keys())"
    words = [sys.executable, "-c", f"import sys, flows.pipeline; print({heavy})"]
    assert subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, check=True).stdout == "[]\n"
