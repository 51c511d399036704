"""Exported rankers in MLflow's model registry, and which of them is the champion.

An export, known by the hash of its files, becomes one version, however often it is registered. The alias `champion`
moves to a new version only if that is better by a paired test on the validation queries; the version's tags say why.
"""

from importlib import metadata
from pathlib import Path
from typing import Any

import mlflow
import polars as pl
from dvc.utils.flatten import flatten
from mlflow import MlflowClient, artifacts
from mlflow.entities.model_registry import ModelVersion
from mlflow.models import Model

import arrange
from arrange.errors import UserError
from arrange.serving.champion import Comparison, compare
from arrange.serving.exported import identity, read_card
from records import service, store

ALIAS = "champion"
PACKAGES = (
    *("annotated_types", "huggingface_hub", "mlflow", "numpy", "pandas", "peft", "polars", "safetensors"),
    *("threadpoolctl", "tokenizers", "torch", "transformers"),
)


def register(client: MlflowClient, run: str, folder: Path) -> None:
    """Register the exported ranker in `folder` as a version of arrange-<data>; `run` is the run of its stage.

    Does nothing where that was done before, and continues what was interrupted. A run that made a version's files once
    more gets the metrics alone. A folder without a ranker is passed over: its data set has none.
    """
    if not (folder / "export.json").exists():
        return
    card, key = read_card(folder), identity(folder)
    name, made = f"arrange-{card['data']}", client.get_run(run)
    metrics = {store.clean(measure): value for measure, value in flatten(card["metrics"]).items()}
    mlflow.set_tracking_uri(client.tracking_uri)  # `Model.log` takes neither a client nor an experiment
    mlflow.set_experiment(experiment_id=made.info.experiment_id)
    known = client.search_model_versions(f"name = '{name}' and tags.export = '{key}'")
    version = known[0] if known else log(run, folder, name, metrics, {"export": key, "ranker": card["ranker"]})
    if known and not metrics.keys() <= made.data.metrics.keys():
        mlflow.log_metrics(metrics, run_id=run)
    if "decision" not in version.tags:
        decide(client, version, folder, card)


def log(run: str, folder: Path, name: str, metrics: dict[str, float], tags: dict[str, str]) -> ModelVersion:
    """A new version: the service's file, the library, the exported ranker, its metrics and tags."""
    logged = Model.log(
        artifact_path=None,
        flavor=mlflow.pyfunc,
        name=name,
        run_id=run,
        python_model=str(Path(str(service.__file__))),
        code_paths=[str(Path(str(arrange.__file__)).parent)],
        artifacts={"export": str(folder.resolve())},
        signature=service.SIGNATURE,
        pip_requirements=[f"{package}=={metadata.version(package).partition('+')[0]}" for package in PACKAGES],
    )
    mlflow.log_metrics(metrics, run_id=run, model_id=logged.model_id)
    return mlflow.register_model(logged.model_uri, name, tags=tags)


def decide(client: MlflowClient, version: ModelVersion, folder: Path, card: dict[str, Any]) -> None:
    """Move the alias if the version deserves it, and say why in tags; `decision` is the last, when all is done."""
    champion = client.get_registered_model(version.name).aliases.get(ALIAS)
    wins, tags = True, dict[str, str]()
    if champion is not None and str(champion) != str(version.version):  # itself, where this was interrupted
        wins, tags = challenge(f"models:/{version.name}/{champion}/artifacts/{card['data']}", folder, card)
        tags["compared_with"] = str(champion)
    for tag, value in tags.items():
        client.set_model_version_tag(version.name, version.version, tag, value)
    if wins:
        client.set_registered_model_alias(version.name, ALIAS, version.version)
    client.set_model_version_tag(version.name, version.version, "decision", ALIAS if wins else f"no {ALIAS}")


def challenge(champion: str, folder: Path, card: dict[str, Any]) -> tuple[bool, dict[str, str]]:
    """Whether the ranker in `folder` is better than the export at the address `champion`, and the reason as tags."""
    try:
        other = read_card(Path(artifacts.download_artifacts(f"{champion}/export.json")).parent)
        if other["sha256"]["data"] != card["sha256"]["data"]:
            return False, {"comparison": "none: the data differ, so the validation queries can't be paired"}
        table = artifacts.download_artifacts(f"{champion}/validation.parquet")
        found = compare(pl.read_parquet(folder / "validation.parquet"), pl.read_parquet(table))
    except UserError as error:
        return False, {"comparison": f"none: {error.what}"}
    return found.is_better, describe(found)


def describe(found: Comparison) -> dict[str, str]:
    """A comparison as tags."""
    text = f"nDCG@10 {found.difference:+.4f} ({found.low:+.4f} to {found.high:+.4f}), p = {found.p:.4f}"
    numbers = {name: f"{getattr(found, name):.6g}" for name in ("difference", "low", "high", "p", "queries")}
    return numbers | {"comparison": f"{text}, {found.queries} validation queries"}
