"""Activation functions: known ones, mined ones, and the search for more."""

from pathlib import Path
from typing import TYPE_CHECKING

from arrange.errors import UserError

if TYPE_CHECKING:
    from torch import nn

    from arrange.activations.evaluation import Activation


def load(path: str | Path) -> "Activation":
    """The function of a file that a search wrote; see `arrange.activations.programs.files.load`."""
    from arrange.activations.programs import files  # imports torch, which a flow that reads settings.py does without

    return files.load(path)


def activation(name: str | Path) -> "nn.Module":
    """An activation as a module: by its name in `classical` or `mined`, or by the path of a file that a search wrote.

    Raises UserError for a name that neither has, and for a file that holds no activation.

    >>> import torch
    >>> activation("gelusine")(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.2428,  0.0000,  0.9255])
    >>> torch.nn.Sequential(torch.nn.Linear(2, 8), activation("snake"), torch.nn.Linear(8, 1))
    Sequential(
      (0): Linear(in_features=2, out_features=8, bias=True)
      (1): AsModule(snake)
      (2): Linear(in_features=8, out_features=1, bias=True)
    )
    """
    from arrange.activations.classical import CLASSICAL
    from arrange.activations.feedforward import AsModule
    from arrange.activations.mined import MINED

    if str(name).endswith(".py"):
        return AsModule(load(name))
    known = {**CLASSICAL, **MINED}
    if str(name) not in known:
        raise UserError(f"there is no activation {str(name)!r}", f"give a file, or one of {', '.join(known)}")
    return AsModule(known[str(name)])
