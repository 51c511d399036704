"""No secret among the parameters: dvc.lock, MLflow, Prefect and the command that repeats a run record them."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from arrange.errors import UserError

SECRET = re.compile(
    r"api[-_]?key|authorization|passw(or)?d|secret|(^|access|auth|bearer|hf|hub)[-_]?token$", re.IGNORECASE
)
REMEDY = "llm.key_variable names a variable that holds a key, ~/.netrc has a host's password, HF_TOKEN is for a hub"


def check_secrets(sections: Mapping[str, Any], source: str) -> None:
    """Raise UserError for a value that is a secret by its name, an address with a secret, and a key in plain sight."""
    for path, value in _values(sections):
        name = path.rpartition(".")[2]
        if value is not None and SECRET.search(name):
            raise UserError(f"{source}: {path} is a secret by its name, and would be recorded", REMEDY)
        if isinstance(value, str) and "://" in value and _has_secret(value):
            raise UserError(f"{source}: {path} is an address with a secret in it, and would be recorded", REMEDY)
        if path == "llm.key_variable" and not re.fullmatch(r"([A-Z_][A-Z0-9_]*)?", str(value)):
            problem = f"{source}: {path} is no variable's name (capitals, digits, _)"
            raise UserError(problem, "export the key under such a name, and give that name here")


def _has_secret(address: str) -> bool:
    """Whether a web address has a user, a password or a key in it."""
    return bool(re.search(r"//[^/]*@", address) or any(map(SECRET.search, re.findall(r"[?&]([^=&]+)=", address))))


def _values(nested: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The dotted path of every value that is no section and no list."""
    if isinstance(nested, Mapping):
        inner = [(str(key), value) for key, value in nested.items()]
    elif isinstance(nested, list):
        inner = [(str(place), value) for place, value in enumerate(nested)]
    else:
        yield path, nested
        return
    for name, value in inner:
        yield from _values(value, f"{path}.{name}" if path else name)
