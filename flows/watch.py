"""Searches for activation functions on the terminal, while they work and after: python -m flows.watch [NAME ...]

Scores over the generations beside the control's at equal cost, where the best came from, and what was refused last.
It reads the searches' own databases and writes nothing.
"""

import argparse
import sqlite3
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import polars as pl
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from arrange.activations.search import export
from arrange.errors import UserError
from settings import params, paths

SECONDS = 2.0  # between looks
GENERATIONS, REFUSED, ANCESTORS = 8, 6, 8  # rows that are shown
NO_MISTAKES = ("", "screened")  # reasons of candidates that were measured


@dataclass(frozen=True)
class Watched:
    """A search as it stands: its arm, its tables (`export.tables`), and its budget in member-steps."""

    name: str
    arm: str
    budget: int
    tables: Mapping[str, pl.DataFrame]


def main() -> None:
    """Show the searches until Ctrl-C, or once; on a user's mistake print two lines and exit with code 1."""
    parser = argparse.ArgumentParser(prog="python -m flows.watch", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="of searches (default: all of the run)")
    parser.add_argument("--folder", type=Path, help="of a run (default: the one whose searches were at work last)")
    parser.add_argument("--once", action="store_true", help="print how they stand, and end")
    words = parser.parse_args()
    console = Console()
    try:
        root = words.folder or newest(paths.home())
        if words.once or not console.is_terminal:
            console.print(page(look(root), words.names))
            return
        with Live(console=console, auto_refresh=False, screen=True) as live:
            while True:
                live.update(page(look(root), words.names), refresh=True)
                time.sleep(SECONDS)
    except UserError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(0)


def databases(root: Path) -> dict[str, Path]:
    """The databases of the searches that are at work, or were stopped, by name."""
    found = root.glob("state/search@*/unfinished/*/search.db")
    return {path.parents[2].name.partition("@")[2]: path for path in sorted(found)}


def newest(home: Path) -> Path:
    """The checkout, or the workspace beside it, in which a search has written last."""

    def written(root: Path) -> float:
        logs = [path.with_name(f"{path.name}{end}") for path in databases(root).values() for end in ("", "-wal")]
        files = [*logs, *root.glob("activations/searches/*/generations.csv")]
        return max((path.stat().st_mtime for path in files if path.exists()), default=0.0)

    roots = [home, *home.glob(".workspaces/*")]
    found = max(roots, key=written)
    if not written(found):
        raise UserError(f"{home} has no search, at work or done", "start some: make activations")
    return found


def look(root: Path) -> list[Watched]:
    """All searches of params.yaml that have a generation, as they stand now."""
    sections, at_work = params.load(root / params.PARAMS), databases(root)
    found = []
    for name, entry in sections["searches"].items():
        folder = root / "activations" / "searches" / name
        tables = of_database(at_work[name]) if name in at_work else of_folder(folder)
        if tables is not None:
            found.append(Watched(name, entry["arm"], sections["search"]["budget"], tables))
    return found


def of_database(path: Path) -> Mapping[str, pl.DataFrame] | None:
    """The tables of a search at work; None for one that has just begun, or just ended."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            (generations,) = connection.execute("SELECT count(*) FROM digests").fetchone()
        return as_of(generations, path) if generations else None
    except sqlite3.OperationalError:
        return None


@lru_cache(maxsize=16)
def as_of(_: int, path: Path) -> Mapping[str, pl.DataFrame]:
    """The tables of a database; they are read again when it has another number of generations."""
    return export.tables(path)


def of_folder(folder: Path) -> Mapping[str, pl.DataFrame] | None:
    """The tables that a search left when it ended."""
    if not (folder / "generations.csv").is_file():
        return None
    tables = {name: pl.read_parquet(folder / f"{name}.parquet") for name in ("candidates", "joins")}
    return tables | {"generations": pl.read_csv(folder / "generations.csv", schema=export.GENERATIONS)}


def page(searches: Sequence[Watched], names: Sequence[str] = ()) -> Group:
    """What is shown: each search beside the control of its run; the control alone where there is nothing else.

    Raises UserError for a name that is none of them.
    """
    if unknown := [name for name in names if name not in [each.name for each in searches]]:
        there = ", ".join(each.name for each in searches) or "none yet"
        raise UserError(f"no search {unknown[0]!r} has a generation here", f"those that have: {there}")
    control = next((each for each in searches if each.arm == "random"), None)
    shown = [each for each in searches if each.name in names or (not names and each is not control)]
    parts = [part for each in shown or searches for part in panel(each, None if each is control else control)]
    return Group(*parts) if parts else Group(Text("no generation yet"))


def panel(search: Watched, control: Watched | None) -> Iterator[Text | Table]:
    """One search: a headline, its generations, where its best came from, what was refused last."""
    last = search.tables["generations"].row(-1, named=True)
    share = f"{100 * last['member_steps'] / search.budget:.0f}% of the budget"
    yield Text(
        f"{search.name}: generation {last['generation']}, {last['candidates']} candidates, {share}", style="bold"
    )
    yield scores(search, control)
    yield Text("where the best came from")
    for row in lineage(search).iter_rows(named=True):
        gain = "" if row["confirmed"] is None else f"{row['confirmed']:+.3f}"
        parents = ", ".join(map(str, row["parents"])) or "-"
        yield line(f"  {row['id']:>5} {gain:>7} {row['mutator']:<13} of {parents}: {expression(row['source'])}")
    yield Text("refused last")
    for row in refused(search).iter_rows(named=True):
        yield line(f"  {row['id']:>5} {row['mutator']:<13} {row['reason']}: {row['detail']}")
    yield Text("")


def scores(search: Watched, control: Watched | None) -> Table:
    """The last generations: the portfolio's gain beside the control's after as many member-steps."""
    table = Table("generation", "member-steps", "portfolio", "gain", "control", "best", "median", box=None)
    for row in beside(search, control).tail(GENERATIONS).iter_rows(named=True):
        numbers = (row["gain"], row["control"], row["best_of_generation"], row["median"])
        cells = ["-" if value is None else f"{value:+.3f}" for value in numbers]
        table.add_row(str(row["generation"]), f"{row['member_steps']:,}", str(row["members"]), *cells)
    for column in table.columns:
        column.justify = "right"
    return table


def beside(search: Watched, control: Watched | None) -> pl.DataFrame:
    """A row for each generation, with `best_of_generation` (confirmed) and `control`, its gain at equal cost or null.

    The control's gain is that after its last generation that had cost no more member-steps.
    """
    candidates, generations = search.tables["candidates"], search.tables["generations"]
    best = candidates.group_by("generation").agg(best_of_generation=pl.col("confirmed").max())
    rows = generations.join(best, on="generation", how="left", maintain_order="left")
    if control is None:
        return rows.with_columns(control=pl.lit(None, pl.Float64))
    cost = control.tables["generations"].select("member_steps", control=pl.col("gain")).sort("member_steps")
    return rows.sort("member_steps").join_asof(cost, on="member_steps", strategy="backward")


def lineage(search: Watched) -> pl.DataFrame:
    """The best candidate by its confirmed gain and its latest ancestors, oldest first."""
    best = search.tables["generations"]["best"][-1]
    candidates = search.tables["candidates"]
    return candidates.clear() if best is None else export.ancestors(candidates, best).tail(ANCESTORS)


def refused(search: Watched) -> pl.DataFrame:
    """The candidates that were refused last, the latest first."""
    return search.tables["candidates"].filter(~pl.col("reason").is_in(NO_MISTAKES)).tail(REFUSED).reverse()


def expression(source: str) -> str:
    """A program in one line, without its first one."""
    return "; ".join(part.strip() for part in source.splitlines()[1:])


def line(text: str) -> Text:
    """A line of the terminal, cut where it is long. What a program wrote is shown as text, and moves no cursor."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in text)
    return Text(plain, no_wrap=True, overflow="ellipsis")


if __name__ == "__main__":
    main()
