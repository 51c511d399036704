"""The flow on a Dask cluster of separate processes."""

import sys

import psutil
import pytest
from checkout import outcomes
from servers import free_port

pytest.importorskip("prefect_dask", reason="uv pip install prefect-dask==0.3.7")
pytestmark = [pytest.mark.slow, pytest.mark.soak]


@pytest.fixture
def cluster(finished):
    """The address of a scheduler with two workers: processes that know no more than those of another machine."""
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    words = [sys.executable, "-m", "dask"]
    workers = finished.env | {"PYTHONPATH": str(finished.path), "ON_A_WORKER": "true"}
    finished.env, flows = workers, finished.env
    started = [
        finished.start(*words, "scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard"),
        finished.start(*words, "worker", address, "--nworkers", "2", "--nthreads", "1", "--no-dashboard"),
    ]
    finished.env = flows
    for line in started[1].stdout:
        if "Registered to" in line:
            break
    yield address
    for process in started:
        process.terminate()
        process.communicate()


def test_the_stages_run_on_the_workers(finished, cluster):
    task = finished.path / "tasks" / "evaluate.py"
    task.write_text(f'import os\nassert os.environ["ON_A_WORKER"]\n{task.read_text()}')
    found = outcomes(finished.flow("--cluster", cluster, "--set", "rank.beams=6"))
    ran = {stage for stage, what in found.items() if what == "ran"}
    assert {"rank@wordnet-ntp", "rank@wordnet-item", "evaluate@wordnet"} <= ran
    assert set(found.values()) == {"ran", "restored"}
    (workspace,) = finished.path.glob(".workspaces/*")
    assert (workspace / "reports" / "report.md").exists()


def test_a_stage_that_fails_on_a_worker_fails_the_flow_with_its_two_lines(finished, cluster):
    *_, what, remedy = finished.flow(
        "--cluster", cluster, "--set", "datasets.wordnet.root=anmal.n.01", code=1
    ).splitlines()
    assert what == "prepare@wordnet: 'anmal.n.01' is not a noun synset"
    assert remedy.startswith("perhaps animal.n.01")


def test_a_stopped_flow_ends_its_stages_on_the_workers(finished, cluster):
    flow = finished.start(
        sys.executable, "-m", "flows", "pipeline", "--cluster", cluster, "--set", "finetune.arguments.max_steps=1000000"
    )
    for line in flow.stdout:
        if "of 1000000 steps" in line:
            break
    working = [
        process
        for process in psutil.process_iter(["cmdline", "cwd"])
        if (process.info["cmdline"] or [])[1:4] == ["-m", "tasks", "finetune"]
        and str(process.info["cwd"]).startswith(str(finished.path))
    ]
    assert working
    flow.terminate()
    flow.communicate()
    assert not psutil.wait_procs(working, timeout=60)[1]
