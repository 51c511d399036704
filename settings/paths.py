"""The user's places. A run may work in another folder than the user (a workspace, DVC's clone of an experiment).

So what a user says of a place, in the environment or in params.yaml, is made absolute before such a folder is entered.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PATHS = ("WORDNET_DIR", "HF_HOME")  # of the environment
SQLITE = re.compile(r"(sqlite(?:\+\w+)?:///(?:file:)?)([^?]+)(.*)", re.DOTALL)

PLACES = (  # parameters that may name a folder or a file; * is any key
    ("finetune", "model"),
    ("augment", "generated", "model"),
    ("docids", "vectoriser", "name"),
    ("datasets", "*", "raw"),
    ("datasets", "*", "teacher", "vectoriser", "name"),
    ("baselines", "*", "model"),
)
WORDS = {"tfidf-svd"}  # what a vectoriser may be instead of a folder
OWN = ("data/raw/", "base_models/")  # what stages fetch: paths of the pipeline's own, in each workspace


def home() -> Path:
    """The user's checkout, also when called from one of its worktrees or from a DVC experiment's folder.

    DVC tells the checkout in DVC_ROOT, of an experiment's temporary clone too.
    """
    root = Path(os.environ.get("DVC_ROOT", ".")).resolve()
    return root.parents[1] if root.parent.name == ".workspaces" else root


def absolute(path: str, base: Path) -> str:
    """A path that is relative to `base`, or to a user's home (~), as an absolute one.

    >>> absolute("../wordnet", Path("/home/me/checkout")), absolute("/data", Path("/home/me"))
    ('/home/me/wordnet', '/data')
    """
    full = os.path.expanduser(path)  # noqa: PTH111 Path.expanduser raises for a user that is not there
    return full if Path(full).is_absolute() else str((base / full).resolve())


def absolute_address(uri: str, base: Path) -> str:
    """An address of MLflow's; a database in a file as an absolute one.

    >>> absolute_address("sqlite:///runs.db", Path("/home/me")), absolute_address("http://host:5000", Path("/home/me"))
    ('sqlite:////home/me/runs.db', 'http://host:5000')
    """
    if not (found := SQLITE.fullmatch(uri)) or found[2] == ":memory:":
        return uri
    return f"{found[1]}{absolute(found[2], base)}{found[3]}"


def of_environment(environ: Mapping[str, str], base: Path) -> dict[str, str]:
    """The variables of the environment that name places, with absolute values."""
    places = {name: absolute(environ[name], base) for name in PATHS if environ.get(name)}
    uri = environ.get("MLFLOW_TRACKING_URI")
    return places | ({"MLFLOW_TRACKING_URI": absolute_address(uri, base)} if uri else {})


def of_user(sections: Mapping[str, Any], base: Path) -> dict[str, Any]:
    """Sections in which what names something that is there, relative to `base`, is absolute.

    What is not there is a name on a hub, a stage's output or a mistake, and stays.
    """
    changed: Any = sections
    for path in PLACES:
        changed = _at(changed, path, base)
    return dict(changed)


def _at(nested: Any, path: Sequence[str], base: Path) -> Any:
    """What is nested, with the value at `path` as `_if_there` has it."""
    if not path:
        return _if_there(nested, base) if isinstance(nested, str) else nested
    if not isinstance(nested, Mapping):
        return nested
    keys = [key for key in nested if path[0] in ("*", key)]
    return dict(nested) | {key: _at(nested[key], path[1:], base) for key in keys}


def _if_there(value: str, base: Path) -> str:
    """The absolute path if there is such a folder or file; otherwise the value."""
    if not value or "\0" in value or value in WORDS or value.startswith(OWN):
        return value
    path = absolute(value, base)
    return path if os.path.exists(path) else value  # noqa: PTH110 Path.exists raises for a name that is too long
