"""Activation functions as files: each is a module that needs nothing but torch.

>>> save(Path("runs/best.py"), "def activation(x): return torch.tanh(x)", {"fitness": 0.12})  # doctest: +SKIP
>>> load("runs/best.py")(torch.zeros(3))  # doctest: +SKIP
tensor([0., 0., 0.])
"""

import ast
import inspect
from collections.abc import Mapping
from pathlib import Path

from arrange.activations.evaluation import Activation
from arrange.activations.programs.check import Floats, Rejected, check, compile_program
from arrange.errors import UserError
from arrange.files import replacing

IMPORTS = ("import math", "import torch", "import torch.nn.functional as F", "from torch import Tensor")
SIGNATURE = "def activation(x: Tensor) -> Tensor:"
LARGEST = 100_000  # bytes that are read of a file


def save(path: Path, source: str, about: Mapping[str, object]) -> None:
    """Write a program as a module that can be imported alone, below a comment line for each entry of `about`.

    Numbers are written as floats, as they were when the program was measured. Raises Rejected where `check` does.
    """
    comments = (f"# {_one_line(name)}: {_one_line(value)}" for name, value in about.items())
    function = ast.unparse(Floats().visit(check(source)))
    body = function.replace("def activation(x):", SIGNATURE, 1)
    with replacing(path) as part:
        part.write_text("\n".join([*comments, "", *IMPORTS, "", "", body, ""]))


def load(path: str | Path) -> Activation:
    """The function of a file that `save` wrote, or of one that was written in the same form.

    Only what the search's grammar allows is run, so an unknown file can do no harm, except that it may be slow. Raises
    UserError where the file is missing, or holds anything other than comments, IMPORTS and one activation.
    """
    try:
        with Path(path).open("rb") as file:
            lines = file.read(LARGEST).decode().splitlines()
        return compile_program("\n".join("" if _ignored(line) else line for line in lines))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", "") or "no text in UTF-8"
        raise UserError(f"{path}: cannot read an activation: {reason}", "give the path of a .py file") from error
    except Rejected as error:
        remedy = f"write `{SIGNATURE}` within the grammar of arrange/activations/programs/grammar.py"
        raise UserError(f"{path}: no activation: {error}", remedy) from error


def source_of(activation: Activation) -> str:
    """The program of a function of `classical` or `mined`, which are written in the search's grammar.

    >>> from arrange.activations.classical import relu
    >>> print(source_of(relu))
    def activation(x: Tensor) -> Tensor:
        return F.relu(x)
    """
    module = ast.parse(inspect.getsource(activation))
    match module.body:
        case [ast.FunctionDef() as function]:
            function.name = "activation"
            del function.body[0]  # the docstring
    return ast.unparse(module)


def _one_line(value: object) -> str:
    """The value as text without line breaks, so that a comment cannot become code."""
    return "".join(letter if letter.isprintable() else " " for letter in str(value))


def _ignored(line: str) -> bool:
    return line.startswith("#") or line.rstrip() in IMPORTS
