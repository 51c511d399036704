"""A finished search as tables: candidates, measurements, elites, generations; its finalists and their families."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import numpy as np
import polars as pl

from arrange.activations.search.database import SEED
from arrange.activations.search.identity import distinct, identities
from arrange.activations.search.progress import generation

Schema = Mapping[str, pl.DataType | type[pl.DataType]]
WHOLE, REAL, TEXT = pl.Int64, pl.Float64, pl.String
CANDIDATES: Schema = {
    **{"id": WHOLE, "generation": WHOLE, "place": WHOLE, "attempt": WHOLE, "island": WHOLE},
    **{"source": TEXT, "canonical": TEXT, "mutator": TEXT, "parents": pl.List(WHOLE), "note": TEXT},
    **{"flops": REAL, "pointwise": pl.Boolean, "gain": REAL, "curve": pl.List(REAL)},
    **{"fitness": REAL, "reason": TEXT, "detail": TEXT, "confirmed": REAL, "confirm_reason": TEXT},
    "member_steps": WHOLE,
}
MEASUREMENTS = {
    **{"candidate": WHOLE, "set": TEXT, "rung": TEXT, "problem": TEXT, "family": TEXT, "seed": WHOLE},
    **{"rate": REAL, "train": REAL, "valid": REAL, "ood": REAL},
}
ELITES = {"generation": WHOLE, "island": WHOLE, "candidate": WHOLE}
CALLS = {
    **{"generation": WHOLE, "place": WHOLE, "attempt": WHOLE, "prompt": TEXT, "answer": TEXT},
    **{"tokens_in": WHOLE, "tokens_out": WHOLE, "money": REAL, "error": TEXT},
}
GENERATIONS = {
    **{"generation": WHOLE, "candidates": WHOLE, "member_steps": WHOLE, "best": WHOLE, "confirmed": REAL},
    "median": REAL,
}


def tables(path: Path) -> dict[str, pl.DataFrame]:
    """All of a search's database: `candidates`, `measurements`, `elites`, `calls`, `generations`.

    `calls` are the questions to language models with their answers, in the order in which they were asked; in the
    database they are in the order of the answers, which is another one each time. `generations` says how the search
    stood after each: candidates and member-steps so far, the best by confirmed fitness (`best` is its id), the median
    search fitness of the generation itself. Reads while a search writes.
    """
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        connection.execute("BEGIN")  # all tables as of one moment
        return {
            "candidates": _candidates(connection),
            "measurements": _table(connection, "measurements", MEASUREMENTS, "rowid"),
            "elites": _table(connection, "elites", ELITES, "generation, island, candidate"),
            "calls": _table(connection, "calls", CALLS, "generation, attempt, place, prompt"),
            "generations": _generations(connection),
        }


def finalists(candidates: pl.DataFrame, count: int) -> pl.DataFrame:
    """The `count` best by confirmed fitness of what the search found itself, best first, no function twice."""
    confirmed = candidates.filter(pl.col("confirmed").is_not_null())
    seeds = identities(candidates.filter(mutator=SEED))
    return distinct(confirmed.sort("confirmed", "id", descending=[True, False]), seeds).head(count)


def family(candidates: pl.DataFrame, id: int) -> pl.DataFrame:
    """A candidate and all its ancestors, oldest first."""
    parents = dict(candidates.select("id", "parents").iter_rows())
    found, waiting = set(), [id]
    while waiting:
        member = waiting.pop()
        if member not in found:
            found.add(member)
            waiting += parents[member]
    return candidates.filter(pl.col("id").is_in(found)).sort("id")


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
    rows = [
        (
            now.generation,
            now.candidates,
            now.member_steps,
            now.best and now.best.id,
            now.best and now.best.fitness,
            now.median,
        )
        for now in (generation(connection, number) for number in numbers)
    ]
    return pl.DataFrame(rows, GENERATIONS, orient="row")
