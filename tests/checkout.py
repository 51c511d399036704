"""A clone of the project with the small WordNet in it, and what a user types there."""

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from mlflow import MlflowClient

from settings.params import apply, load

PROJECT = Path(__file__).parents[1]
KEPT = {  # entries of the quickstart that a small clone keeps; the others are taken away
    "base_models": ["scratch"],
    "datasets": ["wordnet"],
    "catalogues": ["wordnet-text"],
    "rankers": ["wordnet-ntp"],
    "baselines": [],
    "candidates": [],
    "ngram": [],
    "fusions": [],
    "reranked": [],
    "searches": ["evolution-1"],
}
RUNG = {"problems": 3, "seeds": 1, "steps": 5}
SHAPE = {
    "model_type": "llama",
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}
CHANGED = {
    "rankers": {"wordnet-item": {"data": "wordnet", "docids": "text", "loss": "item", "seed": 1}},
    "base_models": {"scratch": {"shape": SHAPE}},
    "docids": {"vocabulary_size": 300},
    "finetune": {
        "validation_queries": 5,
        "arguments": {
            "max_steps": 4,
            "per_device_train_batch_size": 4,
            "logging_steps": 2,
            "eval_strategy": "steps",
            "eval_steps": 2,
            "save_strategy": "steps",
            "save_steps": 2,
            "load_best_model_at_end": True,
            "metric_for_best_model": "nDCG@10",
        },
    },
    "rank": {"beams": 5},
    "evaluate": {"resamples": 20},
    "fitness": {
        "ranges": {"train": 16, "valid": 16, "ood": 16},
        "training": {"width": 4},
        "kept": 0.9,
        "rungs": dict.fromkeys(("first", "search", "confirm", "validate", "test"), RUNG),
    },
    "search": {"candidates": 15, "generation_size": 2},
    "select": {"finalists": 1},
    "transfer": {
        "to": ["held_out", "digits", "tabular"],
        "known": [],
        "networks": {"hidden": [4], "steps": 2, "rates": [1.0e-3], "seeds": [1]},
        "resamples": 20,
    },
    "swap": {"of": ["found"], "steps": 2, "rates": [1.0e-3]},
}
STAGES = [
    "prepare_model@scratch",
    "search@evolution-1",
    "select",
    "transfer",
    "download_wordnet",
    "prepare@wordnet",
    "augment@wordnet",
    "docids@wordnet-text",
    "finetune@wordnet-ntp",
    "finetune@wordnet-item",
    "rank@wordnet-ntp",
    "rank@wordnet-item",
    "controls@wordnet",
    "evaluate@wordnet",
    "export@wordnet",
    "swap",
    "activations_report",
    "ranking_report",
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
        return self.run(sys.executable, "-m", "flows", "pipeline", *words, code=code)

    def dvc(self, *words: str, code: int = 0) -> str:
        return self.run(sys.executable, "-m", "dvc", *words, code=code)

    def is_up_to_date(self) -> bool:
        """Whether DVC would run nothing of what a flow runs: data sets that no ranker uses stay as they are."""
        return "up to date" in self.dvc("status", "--with-deps", "track")

    def git(self, *words: str) -> str:
        return self.run("git", *words)

    def change(self, section: str, **values: object) -> None:
        """Values over those of params.yaml, as overrides are, but in the file itself."""
        path = self.path / "params.yaml"
        path.write_text(yaml.safe_dump(apply(load(path), {section: values}), sort_keys=False))

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
        stage, _, what = event.partition(": ")
        if match := re.match("ran|restored|reused|failed", what):
            last[stage] = match[0]
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
    params = load(path / "params.yaml")
    for section, names in KEPT.items():
        params[section] = {name: params[section][name] for name in names}
    (path / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    for section, values in CHANGED.items():
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
