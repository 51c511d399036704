"""How the searches of a checkout stand while they work: arrange watch.

It reads the searches' own databases and writes nothing.
"""

import argparse
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl

from arrange.activations.search import export
from arrange.errors import UserError
from arrange.formats import markdown

LAST = 8  # rows of each table
NO_MISTAKES = ("", "screened")  # reasons of candidates that were measured


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="arrange watch",
        description="Show how the searches of a checkout stand that are at work, or were stopped.",
        epilog="again every two seconds: watch arrange watch",
    )
    command.add_argument("folder", nargs="?", type=Path, default=Path(), help="the checkout (default: this folder)")
    return command


def main(words: Sequence[str]) -> None:
    """Print each search. Raises UserError where there is none."""
    folder = parser().parse_args(words).folder
    found = databases(folder)
    if not found:
        raise UserError(f"{folder.resolve()} has no search at work", "start some: make activations")
    for path in found:
        print(*about(path), sep="\n", end="\n\n")


def databases(folder: Path) -> list[Path]:
    """The databases of the searches that are at work in a checkout or its workspaces, or were stopped there."""
    roots = [folder, *sorted(folder.glob(".workspaces/*"))]
    return [path for root in roots for path in sorted(root.glob("state/search@*/unfinished/*/search.db"))]


def about(path: Path) -> Iterator[str]:
    """One search: its last generations, where its best came from, what was refused last."""
    name, tables = path.parents[2].name.partition("@")[2], dict[str, pl.DataFrame]()
    with suppress(sqlite3.OperationalError):  # it was just made, or has just ended
        tables = export.tables(path)
    if not tables or tables["generations"].is_empty():
        yield f"{name}: no generation yet"
        return
    generations, candidates = tables["generations"], tables["candidates"]
    yield f"{name}: {len(generations)} generations"
    rows = generations.tail(LAST).rows()
    yield markdown(generations.columns, [[number(value) for value in row] for row in rows])
    yield "where the best came from:"
    yield from map(candidate, lineage(tables).rows(named=True))
    yield "refused last:"
    mistakes = candidates.filter(~pl.col("reason").is_in(NO_MISTAKES)).tail(LAST).reverse()
    for row in mistakes.rows(named=True):
        yield shown(f"{row['id']:>7} {row['mutator']}: {row['reason']}: {row['detail']}")


def number(value: float | None) -> str:
    """A cell of the table of generations.

    >>> number(12), number(0.03), number(None)
    ('12', '+0.030', '-')
    """
    return "-" if value is None else f"{value:+.3f}" if isinstance(value, float) else str(value)


def lineage(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """The best candidate by its confirmed gain and its latest ancestors, oldest first."""
    best = tables["generations"]["best"][-1]
    return tables["candidates"].clear() if best is None else export.ancestors(tables["candidates"], best).tail(LAST)


def candidate(row: Mapping[str, Any]) -> str:
    """A candidate with its program in one line."""
    expression = "; ".join(part.strip() for part in row["source"].splitlines()[1:])
    return shown(f"{row['id']:>7} {number(row['confirmed'])} {row['mutator']} of {row['parents']}: {expression}")


def shown(text: str) -> str:
    """A line for a terminal: what a program wrote is shown as text, and moves no cursor."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
