"""The deployments of prefect.yaml on a process work pool, with a real server and a real worker."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable

import psutil
import pytest
import requests
from checkout import parents, runs_in

pytestmark = [pytest.mark.slow, pytest.mark.soak]

ENDLESS = 'overrides={"finetune": {"arguments": {"max_steps": 1000000}}}'


@pytest.fixture
def prefect(finished):
    """Prefect's command line in a finished checkout, with its deployments."""

    def run(*words: str, code: int = 0) -> str:
        return finished.run(sys.executable, "-m", "prefect", "--no-prompt", *words, code=code)

    run("work-pool", "create", "local", "--type", "process", "--overwrite")
    run("deploy", "--all")
    return run


@pytest.fixture
def worker(finished, prefect):
    process = finished.start(sys.executable, "-m", "prefect", "worker", "start", "--pool", "local")
    yield process
    process.kill()
    process.communicate()


def state_of(server: str, said: str) -> dict:
    """The state of the flow run whose id `prefect deployment run` printed."""
    return requests.get(f"{server}/flow_runs/{id_in(said)}").json()["state"]


def id_in(said: str) -> str:
    return said.partition("UUID: ")[2].split()[0]


def wait_until(holds: Callable[[], bool], worker: subprocess.Popen) -> None:
    """Return when `holds()` does; meanwhile the worker works."""
    while not holds():
        with pytest.raises(subprocess.TimeoutExpired):
            worker.wait(timeout=0.2)


def trainings(checkout) -> list[psutil.Process]:
    """The processes that train in this checkout or its workspaces."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        at_home = str(process.info["cwd"]).startswith(str(checkout.path))
        if at_home and process.info["cmdline"] and process.info["cmdline"][1:4] == ["-m", "tasks", "finetune"]:
            found.append(process)
    return found


def is_training(checkout) -> bool:
    """Whether a training has taken its first steps."""
    return any(path.stat().st_size for path in checkout.path.glob(".workspaces/*/state/finetune@*/progress.jsonl"))


def test_a_deployment_runs_with_overrides(finished, prefect, server):
    before = finished.bytes_of("params.yaml", "dvc.lock")
    said = prefect(
        "deployment",
        "run",
        "pipeline/quickstart",
        "-p",
        'overrides={"evaluate": {"resamples": 25}}',
        "-p",
        "parallel=1",
    )
    prefect("worker", "start", "--pool", "local", "--run-once")
    state = state_of(server, said)
    assert state["type"] == "COMPLETED"
    lines = state["message"].splitlines()
    assert lines[0] == "Stages: 6 ran, 14 restored."
    assert lines[-1] == "Again:  .venv/bin/python -m flows pipeline --set evaluate.resamples=25"
    assert finished.bytes_of("params.yaml", "dvc.lock") == before

    artifacts = requests.post(f"{server}/artifacts/filter", json={}).json()
    mine = {artifact["key"]: artifact for artifact in artifacts if artifact["flow_run_id"] == id_in(said)}
    assert mine["report"]["data"].startswith("# Autoregressive ranking")
    assert "| evaluate@wordnet | Ran |" in mine["report"]["data"]
    systems = [row["system"] for row in json.loads(mine["results"]["data"])]
    assert systems == ["ntp", "item", "random", "root_first", "copy", "neighbours", "popularity", "bm25"]

    assert parents(runs_in(finished))[-1].data.tags["overrides"] == "evaluate.resamples=25"
    (workspace,) = finished.path.glob(".workspaces/*")
    assert finished.dvc("exp", "list", "--name-only").split() == [f"run-{workspace.name}"]


def test_a_part_of_the_pipeline_is_recorded_too(finished, prefect, server):
    said = prefect("deployment", "run", "data/all", "-p", 'overrides={"datasets": {"wordnet": {"test": 0.2}}}')
    prefect("worker", "start", "--pool", "local", "--run-once")
    assert state_of(server, said)["message"].splitlines()[0] == "Stages: 1 ran, 2 restored."
    assert parents(runs_in(finished))[-1].data.params["datasets.wordnet.test"] == "0.2"


def test_a_wrong_override_fails_a_run_in_two_lines(prefect, server):
    said = prefect("deployment", "run", "ranking/wordnet", "-p", "parallel=many", code=1)
    assert "Validation failed for field 'parallel'" in said
    said = prefect("deployment", "run", "ranking/wordnet", "-p", 'overrides={"finetune": {"treads": 3}}')
    prefect("worker", "start", "--pool", "local", "--run-once")
    state = state_of(server, said)
    what, remedy = state["message"].splitlines()
    assert (state["type"], what.partition(":")[0]) == ("FAILED", "the overrides")
    assert remedy


def test_a_cancelled_run_ends_its_processes_and_is_taken_up_again(finished, prefect, server, worker):
    said = prefect("deployment", "run", "ranking/wordnet", "-p", ENDLESS)
    wait_until(lambda: is_training(finished), worker)
    working = trainings(finished)
    assert working
    prefect("flow-run", "cancel", id_in(said))
    assert not psutil.wait_procs(working, timeout=60)[1]
    wait_until(lambda: state_of(server, said)["type"] == "CANCELLED", worker)
    short = 'overrides={"finetune": {"arguments": {"max_steps": 5}}}'
    assert prefect("deployment", "run", "ranking/wordnet", "-p", short, "--watch")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_worker_takes_its_runs_with_it(finished, prefect, server, worker, number):
    said = prefect("deployment", "run", "ranking/wordnet", "-p", ENDLESS)
    wait_until(lambda: is_training(finished), worker)
    working = [*trainings(finished), *psutil.Process(worker.pid).children(recursive=True)]
    worker.send_signal(number)
    assert not psutil.wait_procs(working, timeout=90)[1]
    finished.flow()
    assert state_of(server, said)["type"] == "CRASHED"
