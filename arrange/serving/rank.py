"""Rank in a terminal, with an exported ranker: python -m arrange.serving.rank exports/wordnet "poodle: a curly dog"."""

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from arrange.errors import UserError
from arrange.serving.exported import Ranked, load


def main(words: Sequence[str] | None = None) -> None:
    """Print a query's documents, best first; two lines and exit code 1 where the user must act."""
    asked = parser().parse_args(words)
    try:
        [ranked] = load(asked.folder).rank([asked.query], asked.k, among=asked.among, beams=asked.beams)
    except UserError as error:
        sys.exit(str(error))
    width = shutil.get_terminal_size().columns
    print(json.dumps([found._asdict() for found in ranked], indent=1) if asked.json else table(ranked, width))


def parser() -> argparse.ArgumentParser:
    """What the command line takes."""
    known = argparse.ArgumentParser(prog="python -m arrange.serving.rank", description="Rank documents for a query.")
    known.add_argument("folder", type=Path, help="of an exported ranker, say exports/wordnet")
    known.add_argument("query")
    known.add_argument("-k", type=int, default=10, help="so many documents (%(default)s)")
    known.add_argument("--beams", type=int, help="width of the search, at least k (default: the ranker's own)")
    known.add_argument(
        "--among",
        nargs="+",
        action="extend",  # an id that starts with a dash is given as --among=-ID
        metavar="ID",
        help="choose among these documents (default: all)",
    )
    known.add_argument("--json", action="store_true", help="print JSON, scores in full")
    return known


def table(ranked: Sequence[Ranked], width: int) -> str:
    """A line for each document: rank, log-probability (nats), id, and as much of its text as `width` has room for.

    >>> print(table([Ranked("dog.n.01", "dog, domestic dog", -0.5), Ranked("pet.n.01", "pet", -12.25)], 37))
    1    -0.500  dog.n.01  dog, domestic…
    2   -12.250  pet.n.01  pet
    """
    ids = max((len(found.doc_id) for found in ranked), default=0)
    lines = []
    for rank, found in enumerate(ranked, 1):
        start = f"{rank:>{len(str(len(ranked)))}}  {found.log_probability:>8.3f}  {found.doc_id:<{ids}}  "
        text, room = " ".join(found.text.split()), max(10, width - len(start))
        lines.append(start + (text if len(text) <= room else f"{text[: room - 1].rstrip()}…"))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
