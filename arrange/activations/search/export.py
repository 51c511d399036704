"""A finished search as tables, and what is read from them: finalists, ancestors."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import numpy as np
import polars as pl

from arrange.activations.search.database import read_progress
from arrange.activations.search.integrity import guarded

Schema = Mapping[str, pl.DataType | type[pl.DataType]]
WHOLE, REAL, TEXT = pl.Int64, pl.Float64, pl.String
CANDIDATES: Schema = {
    **{"id": WHOLE, "generation": WHOLE, "place": WHOLE, "attempt": WHOLE, "side": WHOLE},
    **{"source": TEXT, "canonical": TEXT, "mutator": TEXT, "parents": pl.List(WHOLE), "note": TEXT},
    **{"flops": REAL, "pointwise": pl.Boolean, "gain": REAL, "curve": pl.List(REAL)},
    **{"fitness": REAL, "reason": TEXT, "detail": TEXT, "confirmed": REAL, "confirm_reason": TEXT},
    "member_steps": WHOLE,
}
MEASUREMENTS = {
    **{"candidate": WHOLE, "set": TEXT, "rung": TEXT, "problem": TEXT, "family": TEXT, "seed": WHOLE},
    **{"rate": REAL, "train": REAL, "valid": REAL, "ood": REAL},
}
ELITES = {"generation": WHOLE, "side": WHOLE, "candidate": WHOLE}
JOINS = {
    **{"round": WHOLE, "candidate": WHOLE, "generation": WHOLE, "gain": REAL, "member_steps": WHOLE},
    "joined": WHOLE,
}
CALLS = {
    **{"generation": WHOLE, "place": WHOLE, "attempt": WHOLE, "prompt": TEXT, "answer": TEXT},
    **{"tokens_in": WHOLE, "tokens_out": WHOLE, "money": REAL, "error": TEXT},
}
GENERATIONS = {
    **{"generation": WHOLE, "candidates": WHOLE, "member_steps": WHOLE, "best": WHOLE, "confirmed": REAL},
    **{"median": REAL, "members": WHOLE, "gain": REAL},
}


def tables(path: Path) -> dict[str, pl.DataFrame]:
    """All of a search's database: `candidates`, `measurements`, `elites`, `joins`, `calls`, `generations`.

    `calls` are the questions to language models with their answers, in the order in which they were asked; the database
    has them in the order of the answers, which is a different one each time. `generations` has a row after each
    generation: candidates and member-steps so far, the id of the best by confirmed gain, the median fitness of the
    generation itself, the members of the portfolio and what they added in sum. Can be read while a search writes.
    Raises UserError where SQLite can't read the file.
    """
    with guarded(path), closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        connection.execute("BEGIN")  # so that all tables are of one moment
        return {
            "candidates": _candidates(connection),
            "measurements": _table(connection, "measurements", MEASUREMENTS, "rowid"),
            "elites": _table(connection, "elites", ELITES, "generation, side, candidate"),
            "joins": _table(connection, "joins", JOINS, "round, candidate"),
            "calls": _table(connection, "calls", CALLS, "generation, attempt, place, prompt"),
            "generations": _generations(connection),
        }


def write(path: Path, folder: Path) -> None:
    """Write the tables of a search's database into a new folder: generations.csv, the others as parquet."""
    folder.mkdir()
    for name, table in tables(path).items():
        if name == "generations":
            table.write_csv(folder / "generations.csv")
        else:
            table.write_parquet(folder / f"{name}.parquet")


def contenders(candidates: pl.DataFrame, joins: pl.DataFrame, count: int) -> pl.DataFrame:
    """The `count` best of those that were measured on all families at the end of a round: the rows of `candidates`.

    First those that joined the portfolio, in their order, then the others by their gain, best first.
    """
    order = joins.sort("joined", pl.when(joined=1).then("round").otherwise(0), "gain", descending=[True, False, True])
    ranked = order.drop_nulls("gain").unique("candidate", keep="first", maintain_order=True).head(count)
    return ranked.select(id="candidate").join(candidates, on="id", maintain_order="left")


def ancestors(candidates: pl.DataFrame, id: int) -> pl.DataFrame:
    """A candidate and all its ancestors, oldest first."""
    parents = dict(candidates.select("id", "parents").iter_rows())
    family, waiting = set(), [id]
    while waiting:
        member = waiting.pop()
        if member not in family:
            family.add(member)
            waiting += parents[member]
    return candidates.filter(pl.col("id").is_in(family)).sort("id")


def _table(connection: sqlite3.Connection, name: str, schema: Schema, order: str) -> pl.DataFrame:
    columns = ", ".join(f'"{column}"' for column in schema)
    rows = connection.execute(f"SELECT {columns} FROM {name} ORDER BY {order}").fetchall()
    return pl.DataFrame(rows, schema, orient="row")


def _candidates(connection: sqlite3.Connection) -> pl.DataFrame:
    stored = {**CANDIDATES, "parents": TEXT, "curve": pl.Binary, "pointwise": WHOLE}
    table = _table(connection, "candidates", stored, "id")
    curves = [curve and np.frombuffer(curve).tolist() for curve in table["curve"]]
    return table.with_columns(
        pl.col("parents").str.json_decode(pl.List(WHOLE)),
        pl.col("pointwise").cast(pl.Boolean),
        pl.Series("curve", curves, pl.List(REAL)),
    )


def _generations(connection: sqlite3.Connection) -> pl.DataFrame:
    numbers = [number for (number,) in connection.execute("SELECT DISTINCT generation FROM candidates ORDER BY 1")]
    progress = [read_progress(connection, number) for number in numbers]
    rows = [tuple(getattr(one, column) for column in GENERATIONS) for one in progress]
    return pl.DataFrame(rows, GENERATIONS, orient="row")
