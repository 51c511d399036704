"""Whether a search's database is as it was written, and SQLite's errors in two lines.

Each generation is written with a digest of all its rows and of the digest before it. Opening a database computes all
of them again, so a search goes on from what it wrote itself or not at all.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from importlib.resources import files
from pathlib import Path
from textwrap import shorten
from typing import Any

from arrange.errors import UserError

VERSION = 3  # of schema.sql, and of what a digest covers
ROWS = (  # all that a generation left
    "SELECT * FROM candidates WHERE generation = ? ORDER BY id",
    "SELECT measurements.* FROM candidates JOIN measurements ON candidate = id "
    "WHERE generation = ? ORDER BY candidate, measurements.rowid",
    "SELECT * FROM elites WHERE generation = ? ORDER BY side, candidate",
    "SELECT * FROM joins WHERE generation = ? ORDER BY round, candidate",
    "SELECT * FROM calls WHERE generation = ? ORDER BY rowid",
)
STRAY = {  # rows that belong to no generation with a digest
    "candidates": "generation NOT IN (SELECT generation FROM digests)",
    "measurements": "candidate NOT IN (SELECT id FROM candidates)",
    "elites": "generation NOT IN (SELECT generation FROM digests)",
    "joins": "generation NOT IN (SELECT generation FROM digests)",
}
GOES_ON = "run again: the search goes on from its last generation"
OUTSIDE = {  # SQLite's codes of what isn't wrong with the file itself, in words that follow its path, and what to do
    sqlite3.SQLITE_BUSY: ("is held by another program", f"end that program, then {GOES_ON}"),
    sqlite3.SQLITE_FULL: ("can't grow: the disk is full", f"make room, then {GOES_ON}"),
    sqlite3.SQLITE_IOERR: ("can't be read or written", f"look at the disk and its free room, then {GOES_ON}"),
    sqlite3.SQLITE_READONLY: ("can't be written", f"mend its permissions, then {GOES_ON}"),
    sqlite3.SQLITE_CANTOPEN: ("can't be opened as a file", "mend its permissions, or {remove}"),
}
DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def refused(path: Path, what: str, remedy: str = "{remove}") -> UserError:
    """The error about this database. A `{remove}` in the remedy tells how to begin anew."""
    remove = f"remove {path.absolute()}* and run again: the search begins anew"
    return UserError(shorten(f"{path} {what}", 400), remedy.format(remove=remove))


@contextmanager
def guarded(path: Path) -> Iterator[None]:
    """Raise a UserError for SQLite's errors about the file, the disk and other programs. Others are bugs, and pass."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # the rest of it says more exactly where
        if code in DAMAGE:
            raise refused(path, f"is damaged ({error})") from None
        if code not in OUTSIDE:
            raise
        what, remedy = OUTSIDE[code]
        raise refused(path, f"{what} ({error})", remedy) from None


def create(connection: sqlite3.Connection, about: Mapping[str, Any]) -> None:
    """Make the tables of a new search in an empty database."""
    connection.executescript(f"BEGIN; {_schema()}; PRAGMA user_version = {VERSION};")
    connection.execute("INSERT INTO search VALUES (?)", (json.dumps(about),))
    connection.execute("COMMIT")


def fault(connection: sqlite3.Connection, about: Mapping[str, Any]) -> str:
    """What is wrong with the database of the search that `about` describes, in words that follow its path, or ""."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version != VERSION:
        return f"has version {version} of the tables, not {VERSION}"
    if _tables(connection) != _tables_of_schema():
        return "is damaged: its tables aren't those of a search"
    said = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if said != "ok":
        return f"is damaged: {said}"
    try:
        return _other_search(connection, about) or _changed(connection)
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) is None:  # Python's own: a text that isn't UTF-8
            return f"is damaged: {error}"
        raise


def digest(connection: sqlite3.Connection, generation: int) -> str:
    """The hash of all rows of a generation, and of the digest before it."""
    before = connection.execute("SELECT digest FROM digests WHERE generation = ?", (generation - 1,)).fetchone()
    hashed = hashlib.sha256(_bytes(before))
    for rows in ROWS:
        for row in connection.execute(rows, (generation,)):
            hashed.update(_bytes(row))
    return hashed.hexdigest()


def checksum(row: tuple[Any, ...]) -> str:
    """The hash of one row."""
    return hashlib.sha256(_bytes(row)).hexdigest()


def _bytes(row: tuple[Any, ...] | None) -> bytes:
    """A row as text that says each value exactly; bytes are written in hexadecimal."""
    return json.dumps(row, default=bytes.hex).encode()


def _schema() -> str:
    return files(__package__).joinpath("schema.sql").read_text("utf-8")


def _tables(connection: sqlite3.Connection) -> list[tuple[str, ...]]:
    """The statements that made what is in the database. SQLite's own tables (statistics, for one) don't count."""
    return connection.execute(
        "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite~_%' ESCAPE '~' ORDER BY name"
    ).fetchall()


def _tables_of_schema() -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(_schema())
        return _tables(connection)


def _other_search(connection: sqlite3.Connection, about: Mapping[str, Any]) -> str:
    """How the settings in the database differ from these, or ""."""
    rows = connection.execute("SELECT about FROM search").fetchall()
    try:
        ((text,),) = rows
        stored = dict(json.loads(text))
    except (ValueError, TypeError):
        return "is damaged: its settings can't be read"
    for name in sorted(stored.keys() | about.keys()):
        if stored.get(name) != about.get(name):
            return f"belongs to another search: {name} is {stored.get(name)} there, {about.get(name)} here"
    return ""


def _changed(connection: sqlite3.Connection) -> str:
    """The first generation, call or table that isn't as it was written, or ""."""
    written = connection.execute("SELECT generation, digest FROM digests ORDER BY generation").fetchall()
    for place, (generation, stored) in enumerate(written):
        if generation != place or digest(connection, place) != stored:
            return f"is damaged: generation {place} isn't as it was written"
    for table, condition in STRAY.items():
        if connection.execute(f"SELECT count(*) FROM {table} WHERE {condition}").fetchone()[0]:
            return f"is damaged: {table} has rows of no generation that was written"
    for *row, stored in connection.execute("SELECT * FROM calls"):  # those of the next generation have no digest yet
        if checksum(tuple(row)) != stored:
            return f"is damaged: the answer of generation {row[0]}, place {row[1]} isn't as it was written"
    return ""
