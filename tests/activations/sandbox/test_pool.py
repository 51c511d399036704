"""The pool gives what the same calls give here, in the order of the jobs, and leaves no process behind."""

import json
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from activations.sandbox.hostile import do
from activations.small import sandbox

from arrange.activations.evaluation import Admitted, Job, Outcome
from arrange.activations.sandbox.pool import Pool, judge
from arrange.activations.sandbox.wire import pack, pack_job, pack_outcome, unpack, unpack_job, unpack_outcome
from arrange.activations.sandbox.work import carry_out

ENTRY = "activations.sandbox.hostile:do"
SOURCES = (
    "def activation(x): return torch.tanh(x)",
    "def activation(x): return F.gelu(x) + 0.1 * torch.sin(x)",
    "def activation(x): return (x - x.mean()) / (1 + x.std())",
    "def activation(x): return torch.exp(x)",
    "def activation(x): return x +",
)
LIMITED = sandbox(workers=2, flops=40.0, cpu=10, wall=60.0)


def job(source: str, seed: int) -> Job:
    x = np.linspace(-1, 1, 800, dtype=np.float32).reshape(100, 8)
    return Job(source, {"x": x}, {"deed": "honest", "seed": seed})


JOBS = [job(source, seed) for seed in range(3) for source in SOURCES]


def content(outcome: Outcome) -> tuple:
    arrays = {name: (array.dtype, array.shape, array.tobytes()) for name, array in outcome.arrays.items()}
    return outcome.reason, outcome.detail, outcome.admitted, arrays


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def pool():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where there is no filter of system calls, the rest holds all the same
        with Pool(ENTRY, LIMITED) as running:
            yield running


def test_the_bytes_are_those_of_a_call_in_this_process(pool, one_thread):
    here = [carry_out(job, lambda *given: {"weights": do(*given)["weights"]}, 40.0) for job in JOBS]
    there = pool(JOBS)
    assert [outcome.reason for outcome in there[:5]] == ["", "", "", "not_finite", "syntax"]
    for one, other in zip(here, there, strict=True):
        assert content(one)[:3] == content(other)[:3]
        assert one.reason or content(one)[3]["weights"] == content(other)[3]["weights"]


def test_each_job_finds_the_process_fresh(pool):
    first, second = pool(JOBS[:1])[0], pool(JOBS[:1])[0]
    assert content(first) == content(second)  # the draws from the global generators too


def test_the_order_of_the_answers_is_that_of_the_jobs(pool):
    seeds = [outcome.arrays["weights"].tobytes() for outcome in pool([job(SOURCES[0], seed) for seed in range(12)])]
    assert len(set(seeds)) == 12
    backwards = pool([job(SOURCES[0], seed) for seed in reversed(range(12))])
    assert [outcome.arrays["weights"].tobytes() for outcome in reversed(backwards)] == seeds


def test_no_jobs_no_outcomes(pool):
    assert pool([]) == []


def test_the_entry_function_gets_gain_and_label():
    seen = []
    carry_out(job(SOURCES[2], 0), lambda activation, arrays, settings: seen.append(settings) or {}, 40.0)
    assert seen[0]["pointwise"] is False
    assert seen[0]["gain"] == pytest.approx(2, rel=1e-3)  # 1 / sqrt E (z / 2)^2
    assert seen[0]["seed"] == 0


def test_the_budget_holds(pool):
    dear = "def activation(x): return torch.sin(torch.cos(torch.sin(torch.cos(torch.sin(x)))))"
    assert pool([Job(dear)])[0].reason == "cost"


def test_no_entry_function_is_admission_alone_and_no_process_stays():
    before = set(psutil.pids())
    with Pool("", sandbox(flops=40.0)) as only:
        started = [process.pid for process in psutil.Process().children() if process.pid not in before]
        outcome = only([Job(SOURCES[0])])[0]
    assert outcome.admitted is not None
    assert outcome.admitted.flops == 10
    assert not outcome.arrays
    assert started
    assert not any(psutil.pid_exists(pid) for pid in started)


@pytest.mark.slow
def test_a_job_that_cannot_be_sent_leaves_a_pool_that_works(pool):
    with pytest.raises(TypeError):
        pool([JOBS[0], Job(SOURCES[0], {}, {"deed": object()})])
    assert [content(outcome) for outcome in pool(JOBS[:3])] == [content(outcome) for outcome in pool(JOBS[:3])]


@pytest.mark.slow
def test_a_worker_that_was_killed_is_replaced(pool):
    for worker in psutil.Process().children():
        if "arrange.activations.sandbox.template" in worker.cmdline():
            worker.send_signal(signal.SIGKILL)
            worker.wait()
    assert [outcome.reason for outcome in pool(JOBS[:3])] == ["", "", ""]


@pytest.mark.slow
def test_an_entry_that_does_not_exist_is_told(capfd):
    with pytest.raises(RuntimeError, match="before it was ready"), Pool("no.such:module", sandbox()):
        pass
    assert "No module named 'no'" in capfd.readouterr().err


@pytest.mark.slow
def test_without_a_filter_one_warning_says_so_and_the_limits_still_hold(tmp_path, monkeypatch):
    (tmp_path / "pyseccomp.py").write_text("raise RuntimeError('Unable to find libseccomp')")
    monkeypatch.syspath_prepend(str(tmp_path))
    canary = tmp_path / "score"
    deeds = ("spin", "bomb", "write the score", "kill the parent", "honest")
    jobs = [Job(SOURCES[0], JOBS[0].arrays, {"deed": deed, "seed": 0, "canary": str(canary)}) for deed in deeds]
    message = "no filter of system calls: Unable to find libseccomp"
    limited = sandbox(workers=2, cpu=1, wall=60.0, memory=256)
    with pytest.warns(RuntimeWarning, match=message) as caught, Pool(ENTRY, limited) as unfiltered:
        reasons = dict(zip(deeds, (outcome.reason for outcome in unfiltered(jobs)), strict=True))
    assert len(caught) == 1
    assert reasons.pop("write the score") in ("error", "crashed")  # no byte may be written to any file
    assert reasons == {"spin": "cpu", "bomb": "memory", "kill the parent": "crashed", "honest": ""}
    assert not canary.exists() or canary.read_text() == ""


LEFT_ALONE = """
import json, sys
import psutil
sys.path[:0] = {paths!r}
from arrange.activations.evaluation import Job
from arrange.activations.sandbox.pool import Pool
from arrange.activations.settings import Sandbox
import threading
with Pool({entry!r}, Sandbox(workers=1, flops=40.0, cpu=60, wall=600.0, memory=1024)) as pool:
    job = Job({source!r}, {{}}, {{"deed": "hang"}})
    threading.Thread(target=pool, args=([job],), daemon=True).start()
    while len(found := psutil.Process().children(recursive=True)) < 2:
        pass
    print(json.dumps([process.pid for process in found]), flush=True)
    sys.stdin.read()
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems don't tell a process that its parent died")
def test_no_process_outlives_a_search_that_was_killed():
    code = LEFT_ALONE.format(paths=[str(Path.cwd()), str(Path("tests").resolve())], entry=ENTRY, source=SOURCES[0])
    search = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ}
    )
    processes = [psutil.Process(pid) for pid in json.loads(search.stdout.readline())]
    search.kill()
    search.wait()
    assert len(processes) == 2
    assert not psutil.wait_procs(processes, timeout=60)[1]


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        ({"late": True, "full": False, "code": -9, "cpu": 0.5}, "wall"),
        ({"late": True, "full": False, "code": -9, "cpu": 3.0}, "cpu"),
        ({"late": False, "full": False, "code": -signal.SIGXCPU, "cpu": 2.9}, "cpu"),
        ({"late": False, "full": False, "code": -9, "cpu": 3.1}, "cpu"),
        ({"late": False, "full": False, "code": -9, "cpu": 2.9}, "crashed"),
        ({"late": False, "full": False, "code": 1, "cpu": 0.1}, "crashed"),
        ({"late": False, "full": True, "code": -9, "cpu": 0.1}, "output"),
        ({"late": False, "full": False, "code": 0, "cpu": 0.1}, ""),
    ],
)
def test_how_a_process_ended_decides(ending, reason):
    answer = pack_outcome(Outcome(admitted=Admitted(1.0, True, 1.0, (0.0,))))
    assert judge(ending, answer, sandbox(cpu=3)).reason == reason


def test_what_is_packed_is_what_is_unpacked():
    arrays = {"b": np.arange(6, dtype=np.int64).reshape(2, 3).T, "a": np.float32([np.nan, np.inf]), "c": np.zeros(())}
    head, found = unpack(pack({"n": 1, "text": "é"}, arrays))
    assert head == {"n": 1, "text": "é"}
    assert found.keys() == arrays.keys()
    for name in arrays:
        np.testing.assert_array_equal(found[name], arrays[name])
        assert found[name].dtype == arrays[name].dtype
    sent = Job("text", arrays, {"x": [1, None]})
    assert unpack_job(pack_job(sent)).settings == sent.settings


def test_an_outcome_survives_the_wire():
    outcome = Outcome("", "", Admitted(11.0, False, 1.5, (0.0, -1.25)), {"y": np.ones(3, np.float32)})
    assert content(unpack_outcome(pack_outcome(outcome))) == content(outcome)
    assert unpack_outcome(pack_outcome(Outcome("shape", "why"))) == Outcome("shape", "why")


@pytest.mark.parametrize(
    "head",
    [
        {"reason": 1, "detail": "", "admitted": None},
        {"reason": "", "detail": "", "admitted": None},
        {"reason": "", "detail": "", "admitted": {"flops": 1.0, "pointwise": True, "gain": -1.0, "curve": []}},
        {"reason": "", "detail": "", "admitted": {"flops": 1.0, "pointwise": True, "gain": 1.0, "curve": [np.nan]}},
        {"reason": "", "detail": "", "admitted": {"flops": "x", "pointwise": True, "gain": 1.0, "curve": []}},
        {},
    ],
)
def test_an_answer_that_is_none_is_told_apart(head):
    assert unpack_outcome(pack(head, {})).reason == "output"


def test_a_detail_is_one_short_line():
    outcome = unpack_outcome(pack_outcome(Outcome("error", "a\tb" + "c" * 1000 + "\nsecond")))
    assert outcome.detail == ("a b" + "c" * 1000)[:300]
