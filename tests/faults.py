"""Faults for a copy of a finished checkout: work to do again, processes to kill, and what must hold in the end."""

import hashlib
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psutil
import pytest
import yaml
from checkout import Checkout, parents, runs_in
from mlflow import MlflowClient
from servers import answering, free_port

from records.states import stage_hash

OWNER = "CHECKOUT_OF_A_TEST"  # in the environment of all that works for a checkout
PLAIN = (sys.executable, "-m", "flows", "pipeline")
UNFINISHED = (".part", ".tmp")


def copied(first: Checkout, path: Path) -> Checkout:
    """A copy of a finished checkout; its flows have temporary servers."""
    shutil.copytree(first.path, path, symlinks=True)
    return Checkout(path, first.env | {OWNER: str(path)})


def forget(checkout: Checkout, *stages: str) -> None:
    """Take all that DVC and MLflow know of these stages and of `track`: they are to run, and to be recorded, again."""
    lock = checkout.lock()
    entries = {stage: lock["stages"].pop(stage) for stage in (*stages, "track")}
    (checkout.path / "dvc.lock").write_text(yaml.safe_dump(lock, sort_keys=False))
    for stage, entry in entries.items():
        (checkout.path / "logs" / f"{stage}.log").unlink(missing_ok=True)
        for out in entry.get("outs", []):
            path = checkout.path / out["path"]
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.rmtree(checkout.path / ".dvc" / "cache" / "runs")
    checkout.dvc("gc", "--workspace", "--force")
    hashes = {stage_hash(entry) for entry in entries.values()}
    client = MlflowClient(tracking_uri=f"sqlite:///{checkout.path / 'mlflow.db'}")
    for run in runs_in(checkout):
        if run.data.tags.get("stage_hash") in hashes:
            client.delete_run(run.info.run_id)


class Background:
    """A command at work in a checkout, and what it has said so far."""

    def __init__(self, checkout: Checkout, *words: str) -> None:
        self.log = checkout.path.with_name(f"{checkout.path.name}.{len(list(checkout.path.parent.iterdir()))}.log")
        with self.log.open("w") as log:  # a pipe would stay open as long as a server that outlives its flow
            self.process = subprocess.Popen(words, cwd=checkout.path, env=checkout.env, stdout=log, stderr=log)

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_until(self, holds: Callable[[], object]) -> None:
        """Return when `holds()` does; meanwhile the process works."""
        while not holds():
            with pytest.raises(subprocess.TimeoutExpired):
                self.process.wait(timeout=0.05)

    def works_for(self, seconds: float) -> None:
        """Let it work for so long, or to its end if that comes first."""
        try:
            self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return

    def end(self) -> tuple[int, list[str]]:
        """The exit code and the lines, when it has ended."""
        return self.process.wait(), [line for line in self.said().splitlines() if line.strip()]


def has_started(checkout: Checkout, stage: str) -> bool:
    return (checkout.path / "logs" / f"{stage}.log").exists()


def processes(checkout: Checkout) -> list[psutil.Process]:
    """What works for this checkout, wherever."""
    found = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        if (process.info["environ"] or {}).get(OWNER) == str(checkout.path) and process.info["cmdline"]:
            found.append(process)
    return found


def is_of_mlflow(words: list[str]) -> bool:
    """Whether this is the command of an MLflow server or of its worker."""
    return any("mlflow" in word for word in words)


def is_temporary_server(words: list[str]) -> bool:
    return "prefect.server.api.server:create_app" in words


class Server:
    """A server on a port that stays the same, to be killed and started again."""

    def __init__(self, checkout: Checkout, health: str, *words: str) -> None:
        port = free_port()
        self.checkout, self.words, self.health = checkout, (*words, "--host", "127.0.0.1", "--port", port), health
        self.uri = f"http://127.0.0.1:{port}"
        self.start()

    def start(self) -> None:
        """Return when it answers."""
        self.background = Background(self.checkout, sys.executable, "-m", *self.words)
        answering(f"{self.uri}{self.health}")

    def kill(self) -> None:
        """kill -9, of its workers too."""
        root = self.background.process
        if root.poll() is None:
            for process in [*psutil.Process(root.pid).children(recursive=True), root]:
                process.kill()
        root.wait()


def mlflow_server(checkout: Checkout) -> Server:
    """An MLflow server over the checkout's own store, in which the checkout's runs are recorded from now on."""
    checkout.env["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    store = f"sqlite:///{checkout.path / 'mlflow.db'}"
    server = Server(checkout, "/health", "mlflow", "server", "--workers", "1", "--backend-store-uri", store)
    checkout.env["MLFLOW_TRACKING_URI"] = server.uri
    return server


def prefect_server(checkout: Checkout) -> Server:
    """A Prefect server over the checkout's own database, which the checkout's runs use from now on."""
    server = Server(checkout, "/api/health", "prefect", "server", "start")
    checkout.env["PREFECT_API_URL"] = f"{server.uri}/api"
    return server


def is_recording(checkout: Checkout) -> bool:
    """Whether a recording is at work: it has made a run in MLflow, and not ended it."""
    with closing(sqlite3.connect(checkout.path / "mlflow.db")) as database:
        return bool(database.execute("select 1 from runs where status = 'RUNNING'").fetchone())


def assert_run_mends(checkout: Checkout, first: Checkout, server: Server | None = None) -> None:
    """One plain run finishes, and then all is well; the server that it uses is ended between the two."""
    code, lines = Background(checkout, *PLAIN).end()
    assert code == 0, "\n".join(lines)
    if server:
        server.kill()
    assert_mended(checkout, first)


def assert_mended(checkout: Checkout, first: Checkout) -> None:
    """All is as in a run that nothing has disturbed, and nothing else is left."""
    assert checkout.lock() == first.lock()
    assert checkout.is_up_to_date()
    assert not psutil.wait_procs(processes(checkout), timeout=60)[1]
    assert not [path for path in checkout.path.rglob("*") if path.name.endswith(UNFINISHED)]
    objects = [path for path in (checkout.path / ".dvc/cache/files/md5").rglob("*") if path.is_file()]
    names = {path.parent.name + path.name.removesuffix(".dir") for path in objects}
    assert names == {hashlib.md5(path.read_bytes()).hexdigest() for path in objects}
    assert flow_states(checkout) <= {"COMPLETED", "FAILED", "CRASHED"}
    assert_recorded_once(checkout, first)


def flow_states(checkout: Checkout) -> set[str]:
    """What Prefect's database says of the flow runs."""
    with closing(sqlite3.connect(checkout.path / ".prefect" / "prefect.db")) as database:
        return {state for (state,) in database.execute("select state_type from flow_run")}


def assert_recorded_once(checkout: Checkout, first: Checkout) -> None:
    """MLflow has each stage's state in one finished run, and with the metrics of the first."""
    runs = runs_in(checkout)
    assert {run.info.status for run in runs} <= {"FINISHED", "FAILED", "KILLED"}
    finished = [run for run in runs if run.info.status == "FINISHED"]
    hashes = {name: stage_hash(entry) for name, entry in checkout.lock()["stages"].items() if name != "track"}
    stages = [run for run in finished if run.data.tags.get("stage_hash") in hashes.values()]
    assert sorted(run.data.tags["stage"] for run in stages) == sorted(hashes)
    assert {run.data.tags["mlflow.parentRunId"] for run in stages} <= {run.info.run_id for run in parents(runs)}
    assert metrics(stages) == metrics(run for run in runs_in(first) if run.data.tags.get("stage"))


def metrics(runs) -> dict[str, dict[str, float]]:
    """The metrics of the stages' runs, without the time that they took."""
    return {
        run.data.tags["stage"]: {name: value for name, value in run.data.metrics.items() if "seconds" not in name}
        for run in runs
    }
