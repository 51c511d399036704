"""Activation functions: known ones, mined ones, and the search for more."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from arrange.activations.evaluation import Activation


def load(path: str | Path) -> "Activation":
    """The function of a file that a search wrote; see `arrange.activations.programs.files.load`."""
    from arrange.activations.programs import files  # imports torch, which a flow that reads settings.py does without

    return files.load(path)
