"""`make up`: Prefect, MLflow and a worker together, with a store of files and with PostgreSQL."""

import re
import signal
import subprocess
import sys

import postgresql
import psutil
import pytest
import requests
from checkout import STAGES, outcomes
from mlflow import MlflowClient

from arrange.errors import UserError
from records import opening, store

pytestmark = [pytest.mark.slow, pytest.mark.soak]


class Up:
    """The processes of `make up`, once they answer."""

    def __init__(self, checkout):
        self.process = checkout.start(sys.executable, "-m", "flows.up")
        self.said = ""
        for line in self.process.stdout:
            self.said += line
            if line.startswith("Ctrl-C stops"):
                break
        assert "Ctrl-C stops" in self.said, self.said
        self.family = psutil.Process(self.process.pid).children(recursive=True)
        self.prefect, self.mlflow = re.findall(r"^(?:Prefect|MLflow) +(http.*)$", self.said, re.MULTILINE)

    def wait(self) -> tuple[int, str]:
        """The exit code and last words, when nothing is left of it."""
        rest, _ = self.process.communicate()
        assert not psutil.wait_procs(self.family, timeout=30)[1]
        return self.process.returncode, rest.strip()


@pytest.fixture
def checkout(finished):
    del finished.env["PREFECT_API_URL"]
    return finished


@pytest.fixture
def up(checkout):
    started = Up(checkout)
    yield started
    if started.process.poll() is None:
        started.process.terminate()
        started.wait()


def processes(up: Up, *words: str) -> list[psutil.Process]:
    return [each for each in up.family if all(word in each.cmdline() for word in words)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_all_answer_then_all_stop(up, number):
    assert requests.get(f"{up.prefect}/api/health").ok
    assert requests.get(f"{up.mlflow}/health").ok
    page = requests.get(f"{up.prefect}/ui-settings").json()
    assert page["api_url"] == f"{up.prefect}/api"
    names = {each["name"] for each in requests.post(f"{up.prefect}/api/deployments/filter", json={}).json()}
    assert {"wordnet", "quickstart", "tiny", "grid", "all"} <= names
    listening = {
        each.laddr.ip for process in up.family for each in process.net_connections() if each.status == "LISTEN"
    }
    assert listening == {"127.0.0.1"}
    up.process.send_signal(number)
    assert up.wait() == (1, "stopped")


@pytest.mark.parametrize(
    ("name", "words"),
    [("prefect", ("server", "start")), ("mlflow", ("server", "mlflow")), ("worker", ("worker", "start"))],
)
def test_when_one_dies_the_others_stop(up, name, words):
    processes(up, *words)[0].kill()
    code, said = up.wait()
    what, remedy = said.splitlines()[-2:]
    assert (code, what, remedy) == (1, f"{name} has ended (exit code -9)", f"logs/{name}.log says why")


def test_when_it_is_killed_its_processes_stop(up):
    up.process.kill()
    up.wait()


@pytest.fixture
def postgres():
    """The address of a PostgreSQL of its own, with databases `prefect` and `mlflow`."""
    with postgresql.running(["CREATE DATABASE prefect", "CREATE DATABASE mlflow"]) as address:
        yield address


def test_records_may_go_to_postgresql_without_a_server(postgres, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(store.TRACKING, f"postgresql+psycopg2://{postgres}/nowhere")
    with pytest.raises(UserError, match='database "nowhere" does not exist'):
        opening.check()
    address = f"postgresql+psycopg2://{postgres}/mlflow"
    monkeypatch.setenv(store.TRACKING, address)
    opening.check()  # MLflow makes its tables
    opening.check()


def test_a_team_shares_postgresql_and_a_dvc_remote(checkout, postgres, tmp_path):
    """One has the servers and runs; another, in a clone elsewhere, finds the runs and the results."""
    checkout.env |= {
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"postgresql+asyncpg://{postgres}/prefect",
        "MLFLOW_BACKEND_STORE_URI": f"postgresql+psycopg2://{postgres}/mlflow",
        "MLFLOW_ARTIFACTS_DESTINATION": str(tmp_path / "files"),
    }
    up = Up(checkout)
    try:
        checkout.env |= {"PREFECT_API_URL": f"{up.prefect}/api", "MLFLOW_TRACKING_URI": up.mlflow}
        assert set(outcomes(checkout.flow()).values()) == {"reused"}
        count = [
            str(postgresql.BINARIES / "psql"),
            f"postgresql://{postgres}/prefect",
            "-Atc",
            "select state_type from flow_run",
        ]
        assert subprocess.run(count, capture_output=True, text=True).stdout.split() == ["COMPLETED"]
        client = MlflowClient(tracking_uri=up.mlflow)
        (experiment,) = client.search_experiments(filter_string="name = 'arrange'")
        runs = client.search_runs([experiment.experiment_id])
        made = 1 + len(STAGES) - 1  # a pipeline run, and one for each stage but track
        assert len(runs) == made
        assert list((tmp_path / "files").rglob("*.md"))
        artifacts = requests.post(f"{up.prefect}/api/artifacts/filter", json={}).json()
        (report,) = [artifact["data"] for artifact in artifacts if artifact["key"] == "report"]
        assert all(f"| {stage} | Reused |" in report for stage in STAGES)

        checkout.dvc("remote", "add", "--default", "shelf", str(tmp_path / "shelf"))
        checkout.git("add", "--all")
        checkout.git("commit", "--quiet", "--message", "results and where they are")
        checkout.dvc("push")
        other = type(checkout)(tmp_path / "other", checkout.env)
        checkout.git("clone", "--quiet", str(checkout.path), str(other.path))
        other.dvc("pull", "--with-deps", "track")
        assert set(outcomes(other.flow()).values()) == {"reused"}
        assert len(client.search_runs([experiment.experiment_id])) == made  # nothing was new
    finally:
        up.process.terminate()
        up.wait()
