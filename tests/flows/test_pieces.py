"""The parts of the flows that need no server."""

import re
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from math import inf
from pathlib import Path
from threading import Event
from uuid import uuid4

import psutil
import pytest
import yaml
from checkout import PROJECT
from prefect.concurrency.asyncio import ConcurrencySlotAcquisitionError
from prefect.futures import PrefectConcurrentFuture
from prefect.states import Completed

from arrange.errors import UserError
from flows import pipeline
from flows.results import next_steps
from flows.running import Place, runner_on, was_turned_away
from flows.show import latest
from flows.stages import end, needed, problem_in
from flows.supervision import at_work
from flows.workspace import Workspace, assignments, locked
from settings.params import parse_overrides

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


@pytest.mark.parametrize("words", [[], ["rank.beams=3", "datasets=[wordnet]", "prepare_wordnet.root=a b", "own=null"]])
def test_overrides_give_the_words_that_give_them(words):
    assert list(assignments(parse_overrides(words))) == words


@pytest.mark.parametrize(
    ("report", "more"),
    [
        ("reports/report.md", "make run PRESET=standard                   the whole noun hierarchy, a night"),
        ("activations/report/report.md", "make activations PRESET=thorough           five seeds of each arm: hours"),
    ],
)
def test_what_comes_next(tmp_path, report, more):
    assert next_steps(Workspace(tmp_path / "w", tmp_path), tmp_path / "w" / report, "the same").splitlines() == [
        f"Report: w/{report.replace('.md', '.html')}",
        "Next:   make ui                                    browse the runs",
        '        make run SET="losses.item.alpha=2"         change a parameter (params.yaml has them all)',
        f"        {more}",
        "Again:  the same",
    ]


def test_a_lock_is_held_once_and_freed_after(tmp_path):
    path = tmp_path / "deep" / "a.lock"
    with locked(path), pytest.raises(UserError, match="another run is at work"), locked(path):
        pass
    with locked(path):
        pass


def test_the_flow_names_every_stage_of_the_graph():
    assert list(yaml.safe_load((PROJECT / "dvc.yaml").read_text())["stages"]) == pipeline.STAGES


def test_a_stage_works_as_long_as_its_flow_run_and_its_hours_last(tmp_path):
    mark = tmp_path / "checkout.flow_run"

    def place(ends):
        return Place(tmp_path, {}, mark, "mine", ends)

    assert place(inf).reason_to_stop().startswith("it was stopped with its flow run\n")
    with at_work(mark, "mine"):
        assert place(inf).reason_to_stop() == ""
        assert place(0).reason_to_stop().startswith("the run's hours are over\n")
        mark.write_text("another's")
        assert place(inf).reason_to_stop().startswith("it was stopped")
    assert not mark.exists()
    with pytest.raises(KeyboardInterrupt), at_work(mark, "mine"):
        raise KeyboardInterrupt
    assert place(inf).reason_to_stop().startswith("it was stopped")
    assert mark.read_text().split()[0] == "mine"


def test_a_stage_that_is_told_to_stop_ends_with_all_that_it_started(tmp_path):
    script = "import subprocess, sys, time; subprocess.Popen(['sleep', '600']); print(1, flush=True); time.sleep(600)"
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert process.stdout.readline()
    (child,) = psutil.Process(process.pid).children()
    end(process)
    assert not child.is_running()
    assert process.returncode is not None


def test_a_cluster_that_is_not_there_is_told():
    with pytest.raises(UserError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9\n"):
        runner_on("tcp://127.0.0.1:9", 2)


@pytest.mark.parametrize(("last", "needed_stages"), [("d", "abcd"), ("b", "ab"), ("e", "ce"), ("a", "a")])
def test_what_the_last_stage_needs(last, needed_stages):
    graph = {"a": [], "b": ["a"], "c": [], "d": ["b", "c"], "e": ["c"]}
    assert needed(graph, last) == {stage: graph[stage] for stage in needed_stages}


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


@pytest.mark.parametrize(
    ("error", "turned_away"),
    [(ConcurrencySlotAcquisitionError("no server"), True), (None, False)],
)
def test_a_stage_that_got_no_slot_has_not_begun(error, turned_away):
    future = PrefectConcurrentFuture(uuid4(), Future())
    if error:
        future.wrapped_future.set_exception(error)
    else:
        future.wrapped_future.set_result(Completed())
    assert was_turned_away(future) is turned_away


def test_flows_start_without_the_libraries_that_train():
    heavy = "sorted({'torch', 'scipy', 'transformers', 'mlflow', 'matplotlib'} & sys.modules.keys())"
    words = [sys.executable, "-c", f"import sys, flows.pipeline; print({heavy})"]
    assert subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, check=True).stdout == "[]\n"
