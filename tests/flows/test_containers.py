"""The commands of compose.yaml as they stand, with a PostgreSQL of their own, other hosts and free ports."""

import os
import re
import signal
import subprocess
from pathlib import Path

import postgresql
import psutil
import pytest
import requests
import yaml
from checkout import clone
from servers import answering, free_port

pytestmark = [pytest.mark.slow, pytest.mark.soak]
COMPOSE = yaml.safe_load(Path("compose.yaml").read_text())


class Containers:
    """The services, on this machine in place of a container's."""

    def __init__(self, env, folder, database):
        self.env, self.folder, self.started = env, folder, {}
        ports = {number: free_port() for number in ("4200", "5000", "8080")}
        self.changes = {
            r"\b(4200|5000|8080)\b": lambda match: ports[match[0]],
            r"\$\{POSTGRES_PASSWORD[^}]*\}": lambda match: "secret",
            r"arrange:secret@postgres/": lambda match: f"{database}/",
            r"(?<=http://)(prefect|mlflow)\b": lambda match: "127.0.0.1",
            r"^/srv/mlflow$": lambda match: str(folder / "artifacts"),
            r"^0\.0\.0\.0$": lambda match: "127.0.0.1",
        }

    def here(self, text):
        for pattern, change in self.changes.items():
            text = re.sub(pattern, change, text)
        return text

    def environment(self, name):
        return self.env | {key: self.here(value) for key, value in COMPOSE["services"][name]["environment"].items()}

    def start(self, name, folder):
        words = [self.here(word) for word in COMPOSE["services"][name]["command"]]
        home = {"HOME": str(self.folder)}
        with (self.folder / f"{name}.log").open("w") as log:
            self.started[name] = subprocess.Popen(
                words, cwd=folder, env=self.environment(name) | home, stdout=log, stderr=log, start_new_session=True
            )

    def health(self, name):
        """Exit code and last words of the service's health check."""
        words = [self.here(word) for word in COMPOSE["services"][name]["healthcheck"]["test"][1:]]
        done = subprocess.run(words, env=self.env, capture_output=True, text=True)
        return done.returncode, done.stderr.strip().splitlines()[-1:]

    def address(self, name):
        return re.search(r"http://[^']+", self.here(" ".join(COMPOSE["services"][name]["healthcheck"]["test"])))[0]

    def end(self):
        for process in self.started.values():
            family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
            os.killpg(process.pid, signal.SIGTERM)
            _, left = psutil.wait_procs(family, timeout=20)
            for each in left:
                each.kill()
            process.wait()


@pytest.fixture
def containers(env, tmp_path):
    databases = ["CREATE DATABASE prefect", COMPOSE["configs"]["databases"]["content"]]
    with postgresql.running(databases) as address:
        folder = tmp_path / "containers"
        folder.mkdir()
        services = Containers(env, folder, address)
        yield services
        services.end()


def test_servers_and_worker_become_healthy_and_the_deployments_are_there(containers, env, tmp_path):
    work = clone(tmp_path / "a clone", env)
    for name in ("prefect", "mlflow", "worker"):
        code, words = containers.health(name)
        assert code == 1
        assert "refused" in words[0]
        containers.start(name, work.path if name == "worker" else containers.folder)
        answering(containers.address(name))
        assert containers.health(name) == (0, [])
    prefect = containers.environment("worker")["PREFECT_API_URL"]
    names = {each["name"] for each in requests.post(f"{prefect}/deployments/filter", json={}).json()}
    assert {"wordnet", "quickstart", "tiny"} <= names
    page = requests.get(f"{prefect.removesuffix('/api')}/ui-settings").json()
    assert page["api_url"] == containers.here("http://localhost:4200/api")
    assert all(process.poll() is None for process in containers.started.values())
