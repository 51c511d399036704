"""Rank in a terminal, with an exported ranker: arrange rank exports/wordnet "poodle: a curly dog"."""

import argparse
import json
import shutil
import sys
from collections.abc import Sequence

from arrange.errors import UserError
from arrange.serving.exported import Asked, Fused, Ranked
from arrange.serving.hub import opened


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a query's documents, best first; on a user's mistake print two lines and exit with code 1."""
    options = parser().parse_args(arguments)
    try:
        asked = Asked([options.query], options.k, options.among, options.beams, options.fused)
        [ranked] = opened(options.folder).answer(asked)
    except UserError as error:
        sys.exit(str(error))
    width = shutil.get_terminal_size().columns
    print(json.dumps([one._asdict() for one in ranked], indent=1) if options.json else table(ranked, width))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(prog="arrange rank", description="Rank documents for a query.")
    command.add_argument("folder", help="of an exported ranker, for example exports/wordnet; or hf://owner/repository")
    command.add_argument("query")
    command.add_argument("-k", type=int, default=10, help="number of documents (default: %(default)s)")
    command.add_argument("--beams", type=int, help="width of the search, at least k (default: the ranker's own)")
    command.add_argument(
        "--among",
        nargs="+",
        action="extend",  # an id that starts with a dash is given as --among=-ID
        metavar="ID",
        help="choose among these documents (default: all)",
    )
    command.add_argument("--fused", action="store_true", help="with what its first stage finds, if it has one")
    command.add_argument("--json", action="store_true", help="print JSON, scores in full")
    return command


def table(ranked: Sequence[Ranked | Fused], width: int) -> str:
    """A line per document: rank, log-probability (nats) or score, id, and as much of its text as fits into `width`.

    >>> print(table([Ranked("dog.n.01", "dog, domestic dog", -0.5), Ranked("pet.n.01", "pet", -12.25)], 37))
    1    -0.500  dog.n.01  dog, domestic…
    2   -12.250  pet.n.01  pet
    """
    ids = max((len(one.doc_id) for one in ranked), default=0)
    lines = []
    for rank, one in enumerate(ranked, 1):
        start = f"{rank:>{len(str(len(ranked)))}}  {one[-1]:>8.3f}  {one.doc_id:<{ids}}  "
        text, room = " ".join(one.text.split()), max(10, width - len(start))
        lines.append(start + (text if len(text) <= room else f"{text[: room - 1].rstrip()}…"))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
