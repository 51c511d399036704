"""The command `arrange`: its subcommands, each of a module that is imported when it is asked for.

A module of the library that is a subcommand has `parser()`, its command line, and `main(words)`.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple

import shtab

from arrange.errors import UserError


class Subcommand(NamedTuple):
    """The module, and what it does in one line."""

    module: str
    about: str


SUBCOMMANDS = {
    "rank": Subcommand("arrange.serving.rank", "rank documents for a query, with an exported ranker"),
    "serve": Subcommand("arrange.serving.__main__", "serve an exported ranker to several users, over HTTP"),
    "push": Subcommand("arrange.serving.hub", "push an exported ranker to the hub"),
    "search": Subcommand("arrange.activations.search.command", "search for activations with a fitness of your own"),
    "watch": Subcommand("arrange.report.watch", "show how the searches of a checkout stand"),
    "run": Subcommand("arrange.checkout", "run the pipeline of the checkout in this folder"),
}
SHELL = "--print-completion"
EPILOG = """\
try:
  arrange rank exports/wordnet "poodle: a dog with a curly coat"
  arrange search fitness.py --budget 200 --out best.py
  arrange run --preset tiny

`arrange COMMAND --help` says more. Completion: eval "$(arrange --print-completion bash)"; zsh and tcsh too.
"""


def main(words: Sequence[str] | None = None) -> None:
    """Run a subcommand; a user's mistake is two lines and exit code 1."""
    words = sys.argv[1:] if words is None else list(words)
    name = words[0] if words else ""
    try:
        if name in SUBCOMMANDS:
            _module(name).main(words[1:])
            sys.stdout.flush()
            return
        whole(complete=SHELL in words).parse_args(words or ["--help"])
    except UserError as error:
        sys.exit(str(error))
    except BrokenPipeError:  # `| head` has what it wants; without a place for the rest Python would complain at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def whole(complete: bool = False) -> argparse.ArgumentParser:
    """The command line. complete: with the options of all subcommands, whose modules take seconds to import."""
    command = argparse.ArgumentParser(
        prog="arrange",
        description="Rank by generating document identifiers, and search for activation functions.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    shtab.add_argument_to(command, [SHELL], help="print the completion of a shell")
    of_command = command.add_subparsers(metavar="COMMAND", required=True)
    for name, one in SUBCOMMANDS.items():
        parents = [_module(name).parser()] if complete else []
        of_command.add_parser(name, help=one.about, parents=parents, add_help=not complete)
        for action in parents[0]._actions if complete else ():
            if action.choices is None:
                action.complete = shtab.FILE  # what is no choice may be a file's name
    return command


def _module(name: str) -> Any:
    return import_module(SUBCOMMANDS[name].module)


if __name__ == "__main__":
    main()
