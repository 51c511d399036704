"""Where MLflow's records are: $MLFLOW_TRACKING_URI, or a sqlite file at the top of the checkout."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import requests

from arrange.errors import UserError
from settings.paths import absolute_address, home

if TYPE_CHECKING:
    from mlflow import MlflowClient  # takes seconds, and flows that reuse everything don't need it

EXPERIMENT = "arrange"
TRACKING = "MLFLOW_TRACKING_URI"


def tracking_uri() -> str:
    """The address of the MLflow store; a relative one is relative to the checkout, wherever the caller works."""
    return absolute_address(os.environ.get(TRACKING) or "sqlite:///mlflow.db", home())


def address() -> str:
    """The address for clients and links: a server's user and password go to where MLflow's client looks for them.

    In the address, they would be in the client's errors and in every link.
    """
    uri = tracking_uri()
    parts = urlsplit(uri)
    if not uri.startswith(("http://", "https://")) or parts.username is None:
        return uri
    os.environ["MLFLOW_TRACKING_USERNAME"] = unquote(parts.username)
    os.environ["MLFLOW_TRACKING_PASSWORD"] = unquote(parts.password or "")
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def identity() -> str:
    """A text that is another one for a store at another address or in a new file."""
    uri = tracking_uri()
    file = Path(uri.removeprefix("sqlite:///"))
    return f"{uri} {file.stat().st_ino if file.is_file() else ''}"


def experiment_id(client: "MlflowClient") -> str:
    """The project's experiment, made on first use; artifacts of the local store lie beside it."""
    if experiment := client.get_experiment_by_name(EXPERIMENT):
        return experiment.experiment_id
    location = None if tracking_uri().startswith("http") else (home() / "mlartifacts").as_uri()
    # without the tag the UI takes training for the evaluation of a language model
    return client.create_experiment(EXPERIMENT, location, {"mlflow.experimentKind": "custom_model_development"})


def find_logged(client: "MlflowClient", experiment: str, key: str) -> str | None:
    """The run that holds the state of a stage with this hash, if there is one."""
    runs = client.search_runs([experiment], f"tags.stage_hash = '{key}' and attributes.status = 'FINISHED'")
    return runs[0].info.run_id if runs else None


def check_server() -> None:
    """Raise UserError if the store is a server that doesn't answer: better before the work than after it."""
    uri = tracking_uri()
    if not uri.startswith(("http://", "https://")):
        return
    try:
        requests.get(f"{uri.rstrip('/')}/health", timeout=5).raise_for_status()
    except requests.RequestException:
        raise UserError(
            f"{TRACKING} is {redacted(uri)}, and no MLflow server answers there",
            f"start it, or unset {TRACKING} to log to mlflow.db in this checkout",
        ) from None


def redacted(text: str) -> str:
    """A text that is shown or recorded, without the passwords of the addresses in it.

    >>> redacted("postgresql://me:secret@db/mlflow")
    'postgresql://me:***@db/mlflow'
    """
    text = re.sub(r"(://(?:[^:/@\s]*:)?)[^/\s\"']+@", r"\1***@", text)
    return re.sub(r"([?&](?:password|token|key)=)[^&\s\"']+", r"\1***", text)


def clean(name: str) -> str:
    """A name that MLflow takes: nDCG@10 becomes nDCG_10."""
    return re.sub(r"[^\w\-./ ]", "_", name)
