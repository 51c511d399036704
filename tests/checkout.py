"""A clone of the project with the small WordNet in it, and what a user types there."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from mlflow import MlflowClient

PROJECT = Path(__file__).parents[1]
SMALL = {
    "docids": {"vocabulary_size": 300},
    "finetune": {"hidden_size": 16, "layers": 1, "heads": 2, "steps": 3, "batch_size": 4},
    "rank": {"beams": 5},
    "evaluate": {"resamples": 20},
}
STAGES = [
    "download_wordnet",
    "prepare_wordnet",
    "docids@wordnet",
    "finetune@wordnet-ntp",
    "finetune@wordnet-item",
    "rank@wordnet-ntp",
    "rank@wordnet-item",
    "controls@wordnet",
    "evaluate@wordnet",
    "report",
    "track",
]


class Checkout:
    """A clone of the project, and the commands that a user would type in it."""

    def __init__(self, path: Path, env: dict[str, str]) -> None:
        self.path = path
        self.env = env

    def start(self, *words: str) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        return subprocess.Popen(words, cwd=self.path, env=self.env, stdout=pipe, stderr=subprocess.STDOUT, text=True)

    def run(self, *words: str, code: int = 0) -> str:
        """The output, stdout and stderr together; the exit code must be `code`."""
        process = self.start(*words)
        output, _ = process.communicate()
        assert process.returncode == code, output
        return output

    def flow(self, *words: str, code: int = 0) -> str:
        return self.run(sys.executable, "-m", "flows.pipeline", *words, code=code)

    def dvc(self, *words: str, code: int = 0) -> str:
        return self.run(sys.executable, "-m", "dvc", *words, code=code)

    def git(self, *words: str) -> str:
        return self.run("git", *words)

    def change(self, section: str, **values: object) -> None:
        params = yaml.safe_load((self.path / "params.yaml").read_text())
        params[section] |= values
        (self.path / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))

    def lock(self) -> dict[str, object]:
        """What dvc.lock says; its entries stand in the order in which stages first ended."""
        return yaml.safe_load((self.path / "dvc.lock").read_text())

    def bytes_of(self, *names: str) -> list[bytes]:
        return [(self.path / name).read_bytes() for name in names]


def outcomes(output: str) -> dict[str, str]:
    """Stage -> ran, restored, reused or failed, as the flow's lines say."""
    last = {}
    for line in output.splitlines():
        _, _, event = line.partition("  ")
        stage, colon, what = event.partition(": ")
        if colon and stage in STAGES:
            last[stage] = what.split()[0]
    return last


def clone(path: Path, env: dict[str, str]) -> Checkout:
    """The project as it stands, committed, with the small WordNet's checksums and small settings."""
    checkout = Checkout(path, env)
    path.mkdir()
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (PROJECT / name).exists() and name != "dvc.lock":
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, path / name)
    for section, values in SMALL.items():
        checkout.change(section, **values)
    files = [Path(env["WORDNET_DIR"], name) for name in ("data.noun", "index.noun")]
    digests = {file.name: [hashlib.sha256(file.read_bytes()).hexdigest()] for file in files}
    checkout.change("download_wordnet", sha256=digests, sources=["folder"])
    checkout.git("init", "--quiet")
    checkout.git("add", "--all")
    checkout.git("commit", "--quiet", "--message", "start")
    return checkout


def runs_in(checkout: Checkout) -> list:
    client = MlflowClient(tracking_uri=f"sqlite:///{checkout.path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("arrange")
    return sorted(client.search_runs([experiment.experiment_id]), key=lambda run: run.info.start_time)


def children(runs: list, parent: str) -> dict[str, object]:
    return {r.data.tags["stage"]: r for r in runs if r.data.tags.get("mlflow.parentRunId") == parent}


def parents(runs: list) -> list:
    return [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
