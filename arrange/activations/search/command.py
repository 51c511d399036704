"""A search in a terminal, with a fitness of one's own: arrange search fitness.py --budget 200."""

import argparse
import ast
import runpy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arrange.errors import UserError

if TYPE_CHECKING:
    from arrange.activations.search.own import Found

EXAMPLE = """\
FILE is Python with a function `fitness`, higher is better:

  import torch
  x = torch.linspace(-3, 3, 61)

  def fitness(activation):
      return -(activation(x) - torch.exp(-x * x)).square().mean().item()

Candidates are programs of a grammar that has arithmetic and torch's functions of a tensor, and nothing else.
They run in this process. The best one is used in torch by its file: arrange.activation("best.py").
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="arrange search",
        description="Search for activation functions with a fitness of your own.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("file", type=Path, metavar="FILE", help="Python, with a function `fitness`")
    command.add_argument("--budget", type=int, default=200, help="activations to measure (default: %(default)s)")
    command.add_argument("--seed", type=int, default=1, help="another seed, another search (default: %(default)s)")
    command.add_argument("--show", type=int, default=10, help="the best so many (default: %(default)s)")
    command.add_argument("--out", type=Path, help="write the best one here, for example best.py")
    return command


def main(words: Sequence[str]) -> None:
    """Search, print the best activations, and write the very best. Raises UserError on a user's mistake."""
    options = parser().parse_args(words)
    fitness = fitness_of(options.file)
    from arrange.activations.programs import files  # torch: after the mistakes that can be seen without it
    from arrange.activations.search.own import evolve

    found = evolve(fitness, options.budget, seed=options.seed)
    print(table(found[: options.show]))
    if options.out:
        files.save(options.out, found[0].source, {"fitness": found[0].fitness, "budget": options.budget})
        print(f"the best one: {options.out}")


def fitness_of(path: Path) -> Callable[..., Any]:
    """The function `fitness` of a Python file, which is run. Raises UserError where there is none."""
    if not path.is_file():
        raise UserError(f"there is no file {path}", "give a Python file with a function `fitness`")
    fitness = runpy.run_path(str(path)).get("fitness")
    if not callable(fitness):
        raise UserError(f"{path} has no function `fitness`", "write `def fitness(activation):`, which returns a number")
    return fitness


def table(found: "Sequence[Found]") -> str:
    """A line for each activation: place, fitness, the mutator that made it, its program."""
    width = max(len(one.mutator) for one in found) if found else 0
    return "\n".join(
        f"{place:>2}  {one.fitness:>12.6g}  {one.mutator:<{width}}  {in_one_line(one.source)}"
        for place, one in enumerate(found, 1)
    )


def in_one_line(source: str) -> str:
    """The statements of a program, without `return`.

    >>> in_one_line("def activation(x):\\n    a = x * 2\\n    return torch.sin(a)\\n")
    'a = x * 2; torch.sin(a)'
    """
    [function] = ast.parse(source).body
    assert isinstance(function, ast.FunctionDef)
    return "; ".join(ast.unparse(line) for line in function.body).replace("return ", "")
