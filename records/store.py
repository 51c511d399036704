"""Where MLflow's records are: $MLFLOW_TRACKING_URI, or a sqlite file at the top of the checkout."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import requests

from arrange.errors import UserError


def home() -> Path:
    """The user's checkout, also when called from one of its worktrees or from a DVC experiment's folder.

    DVC tells the checkout in DVC_ROOT, of an experiment's temporary clone too.
    """
    root = Path(os.environ.get("DVC_ROOT", ".")).resolve()
    return root.parents[1] if root.parent.name == ".workspaces" else root


def tracking_uri() -> str:
    """The address of the MLflow store."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home() / 'mlflow.db'}"


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


def check_server() -> None:
    """Raise UserError if the store is a server that doesn't answer: better before the work than after it."""
    uri = tracking_uri()
    if not uri.startswith(("http://", "https://")):
        return
    try:
        requests.get(f"{uri.rstrip('/')}/health", timeout=5).raise_for_status()
    except requests.RequestException:
        raise UserError(
            f"MLFLOW_TRACKING_URI is {redacted(uri)}, and no MLflow server answers there",
            "start it, or unset MLFLOW_TRACKING_URI to log to mlflow.db in this checkout",
        ) from None


def redacted(text: str) -> str:
    """A text that is shown or recorded, without the passwords of the addresses in it.

    >>> redacted("postgresql://me:secret@db/mlflow")
    'postgresql://me:***@db/mlflow'
    """
    text = re.sub(r"(://(?:[^:/@\s]*:)?)[^/\s\"']+@", r"\1***@", text)
    return re.sub(r"([?&](?:password|token|key)=)[^&\s\"']+", r"\1***", text)


def flatten(nested: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and values of a nested dictionary."""
    for key, value in nested.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def clean(name: str) -> str:
    """A name that MLflow takes: nDCG@10 becomes nDCG_10."""
    return re.sub(r"[^\w\-./ ]", "_", name)
