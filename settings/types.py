"""What sections of params.yaml are made of: a frozen model that refuses unknown keys, and checked numbers and names.

Parameters are recorded: in dvc.lock, MLflow, Prefect, in the command that repeats a run. So none may hold a secret.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

Whole = Annotated[int, Field(strict=True)]  # neither "400" nor true

Count = Annotated[int, Field(gt=0, strict=True)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]
Part = Annotated[float, Field(gt=0, lt=1)]

AtLeast0 = Annotated[float, Field(ge=0)]
Scheme = Literal["text", "atomic", "numeric", "semantic", "rq", "sparse", "shuffled"]

SECRET = re.compile(
    r"api[-_]?key|authorization|passw(or)?d|secret|(^|access|auth|bearer|hf|hub)[-_]?token$", re.IGNORECASE
)
VARIABLE = r"^([A-Z_][A-Z0-9_]*)?$"


def fits_into_a_path(name: str) -> str:
    """The name, unless file systems would refuse `.<name>.history.csv.part` and the like (255 bytes)."""
    if len(name.encode()) > 200:
        raise ValueError(f"its name has {len(name.encode())} bytes, and becomes that of files; 200 will do")
    return name


def without_password(address: str) -> str:
    """The web address, unless it has a user, a password or a key in it."""
    if re.search(r"//[^/]*@", address) or any(map(SECRET.search, re.findall(r"[?&]([^=&]+)=", address))):
        raise ValueError(f"it has a secret in it, and would be recorded; {ELSEWHERE}")
    return address


def without_secrets(options: Any) -> Any:
    """The options, unless one of them, however deep, has a secret's name and a value, or is an address with one."""
    inner = options.items() if isinstance(options, Mapping) else enumerate(options) if isinstance(options, list) else ()
    for name, value in inner:
        if value is not None and SECRET.search(str(name)):
            raise ValueError(f"{name} is a secret by its name, and would be recorded; {ELSEWHERE}")
        if isinstance(value, str) and "://" in value:
            without_password(value)
        without_secrets(value)
    return options


def names_a_variable(name: str) -> str:
    """The name, unless it looks like a key that stands where its variable's name should."""
    if not re.fullmatch(VARIABLE, name):
        raise ValueError("it is no variable's name (capitals, digits, _); export the key under one, and give that")
    return name


ELSEWHERE = "llm.key_variable names a variable that holds a key, ~/.netrc has a host's password, HF_TOKEN is for a hub"

# a part of stages' names, of paths and of parameter names such as losses.<loss>, which a dot would split
Name = Annotated[str, Field(pattern=r"^[\w-]+$"), AfterValidator(fits_into_a_path)]
Address = Annotated[str, AfterValidator(without_password)]
Options = Annotated[dict[str, Any], AfterValidator(without_secrets)]
Variable = Annotated[str, AfterValidator(names_a_variable), WithJsonSchema({"type": "string", "pattern": VARIABLE})]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, ser_json_inf_nan="constants")
