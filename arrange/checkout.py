"""The pipeline from the command `arrange run`: it is started where a checkout is, and is no part of the library."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from arrange.errors import UserError

FLOWS = ("pipeline", "ranking", "activations", "sweep", "compare")
EXAMPLES = """\
in a checkout:
  arrange run                                   the quickstart, as `make run`
  arrange run --preset tiny                     a preset of params.yaml
  arrange run --set rank.beams=100              other values for this run
  arrange run ranking --data mydata             rankers of your own data
  arrange run activations --preset quick        the search for activation functions
  arrange run compare                           losses at equal steps
  arrange run pipeline --help                   all options of a flow
"""


def parser() -> argparse.ArgumentParser:
    """The command line; what follows the flow's name belongs to the flow."""
    command = argparse.ArgumentParser(
        prog="arrange run",
        description="Run the pipeline of the checkout in this folder. Options go to the flow as they are.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("flow", nargs="?", choices=FLOWS, default=FLOWS[0], help="default: %(default)s")
    return command


def main(words: Sequence[str]) -> None:
    """Become the process of the flow. Raises UserError where this folder is no checkout, or lacks the tools."""
    named = bool(words) and not words[0].startswith("-")
    asks = words[:1] if named or [*words[:1]] in (["-h"], ["--help"]) else []
    flow = parser().parse_args(asks).flow
    if not Path("flows", "__main__.py").is_file() or not Path("dvc.yaml").is_file():
        what = f"{Path.cwd()} is no checkout of arrange, and the package has no pipeline"
        raise UserError(what, "clone the repository and run this at its top; `arrange search` needs no checkout")
    if missing := [tool for tool in ("prefect", "dvc", "mlflow") if find_spec(tool) is None]:
        what = f"{sys.executable} has no {', '.join(missing)}"
        raise UserError(what, "start the run by `make run`, which makes .venv with the pinned tools")
    os.environ.setdefault("DO_NOT_TRACK", "true")  # as the Makefile does
    command = [sys.executable, "-m", "flows", flow, *words[named:]]
    sys.stdout.flush()
    os.execv(sys.executable, command)
