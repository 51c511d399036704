"""The state of a search: one SQLite file that holds every candidate. A generation is written as a whole."""

import json
import math
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from arrange.activations.evaluation import Admitted, Measurement
from arrange.activations.search.candidates import Candidate, Function, Slot
from arrange.activations.search.integrity import checksum, create, digest, fault, guarded, refused
from arrange.activations.search.joining import Join
from arrange.activations.settings import Search, SearchEntry


@dataclass(frozen=True)
class Position:
    """How much of a search is done."""

    generation: int  # the next one
    candidates: int  # places filled so far
    attempts: int  # the same, with the attempts that gave no program
    member_steps: int
    rounds: int  # that have ended


@dataclass(frozen=True)
class Progress:
    """How a search stands after a generation; counts are of all generations so far."""

    generation: int
    candidates: int
    member_steps: int
    best: int | None  # the id of the best by confirmed fitness
    confirmed: float | None  # its confirmed fitness
    median: float | None  # of the fitness of this generation's candidates that have one
    members: int  # of the portfolio, GELU included
    gain: float  # what the members added, in sum
    rejected: Counter[str]  # attempts without a fitness, by reason


@contextmanager
def opened(path: Path, entry: SearchEntry, search: Search) -> Iterator["Database"]:
    """The database of this search at `path`, made if it is missing or empty, for this process alone.

    Raises UserError where another process has it open, where it belongs to another search, where it isn't as a search
    wrote it, and, also for statements in the block, where SQLite can't read or write the file.
    """
    lock = FileLock(f"{path}.lock", timeout=0)  # of the operating system, which frees it when a process is killed
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise refused(path, "is in use: another process searches there", "wait for its end, or end it") from None
    except OSError as error:
        raise refused(path, f"can't be locked ({error.strerror}: {error.filename})") from None
    try:
        with guarded(path), closing(sqlite3.connect(path, isolation_level=None)) as connection:
            _prepare(connection, path, {**asdict(search), "arm": entry.arm, "seed": entry.seed})
            yield Database(connection)
    finally:
        lock.release()


def _prepare(connection: sqlite3.Connection, path: Path, about: dict[str, Any]) -> None:
    """Make the tables, or check that they are those that the search of `about` wrote."""
    if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        create(connection, about)
    elif what := fault(connection, about):
        raise refused(path, what)
    connection.execute("PRAGMA journal_mode = WAL")  # so that others can read meanwhile
    connection.execute("PRAGMA synchronous = FULL")  # so that a paid answer survives a power cut
    connection.executescript("BEGIN IMMEDIATE; COMMIT")  # what can't be written is told now, not after a generation


class Database:
    """An open database. Nothing is kept in memory: each call reads the file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.llm_cache = LlmCache(connection)

    def position(self) -> Position:
        """How much of the search is done."""
        row = self._connection.execute(
            "SELECT coalesce(max(generation) + 1, 0), total(attempt = 0), count(*), total(member_steps) + "
            "(SELECT total(member_steps) FROM joins), (SELECT coalesce(max(round) + 1, 0) FROM joins) FROM candidates"
        ).fetchone()
        return Position(*map(int, row))

    def elites(self) -> list[Candidate]:
        """The elites of both sides after the last generation, the oldest first."""
        rows = self._connection.execute(
            "SELECT candidates.* FROM elites JOIN candidates ON id = candidate "
            "WHERE elites.generation = (SELECT max(generation) FROM candidates) ORDER BY id"
        )
        return [_candidate(row) for row in rows]

    def portfolio(self) -> list[Candidate]:
        """Those that joined the portfolio, in their order."""
        rows = self._connection.execute(
            "SELECT candidates.* FROM joins JOIN candidates ON id = candidate WHERE joined ORDER BY round"
        )
        return [_candidate(row) for row in rows]

    def functions(self) -> dict[int, Function]:
        """All functions that were admitted and not refused, by the candidate's id."""
        rows = self._connection.execute(
            "SELECT * FROM candidates WHERE curve NOT NULL AND reason NOT IN ('known', 'duplicate') ORDER BY id"
        )
        return {row[0]: _candidate(row).function for row in rows}

    def retested(self) -> list[Candidate]:
        """All candidates with a confirmed gain, the oldest first, with the measurements of their re-tests."""
        measured: dict[int, list[tuple[str, Measurement]]] = {}
        for number, name, *values in self._connection.execute(
            """SELECT * FROM measurements WHERE "set" = 'confirm' ORDER BY candidate, rowid"""
        ):
            measured.setdefault(number, []).append((name, Measurement(*values)))
        rows = self._connection.execute("SELECT * FROM candidates WHERE confirmed NOT NULL ORDER BY id")
        return [replace(one, measurements=tuple(measured[one.id])) for one in map(_candidate, rows)]

    def progress(self, generation: int) -> Progress:
        """How the search stood after a generation."""
        return read_progress(self._connection, generation)

    def commit(
        self, candidates: Sequence[Candidate], elites: Sequence[Sequence[Candidate]], joins: Sequence[Join] = ()
    ) -> None:
        """Write a generation in one transaction: candidates, each side's elites, who tried to join, and the digest."""
        generation = candidates[0].slot.generation
        measurements = [
            (candidate.id, name, *astuple(measurement))
            for candidate in candidates
            for name, measurement in candidate.measurements
        ]
        rows: dict[str, list[tuple[Any, ...]]] = {
            "candidates": [_row(each) for each in candidates],
            "measurements": measurements,
            "elites": [(generation, side, elite.id) for side, of_side in enumerate(elites) for elite in of_side],
            "joins": [
                (one.round, one.candidate.id, generation, one.gain, one.member_steps, one.joined) for one in joins
            ],
        }
        self._connection.execute("BEGIN IMMEDIATE")
        for table, content in rows.items():
            if content:
                holes = ", ".join("?" * len(content[0]))
                self._connection.executemany(f"INSERT INTO {table} VALUES ({holes})", content)
        self._connection.execute(
            "INSERT INTO digests VALUES (?, ?)", (generation, digest(self._connection, generation))
        )
        self._connection.execute("COMMIT")


class LlmCache:
    """The answers of language models, each on disk as it comes, so that a search that is started again pays for none
    twice."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def recall(self, slot: Slot, prompt: str) -> tuple[str, str] | None:
        """The answer to this prompt in this slot with its error, or None. A call that failed is not made again."""
        row: tuple[str, str] | None = self._connection.execute(
            "SELECT answer, error FROM calls WHERE generation = ? AND place = ? AND attempt = ? AND prompt = ?",
            (slot.generation, slot.place, slot.attempt, prompt),
        ).fetchone()
        return row

    def record(
        self, slot: Slot, prompt: str, answer: str, tokens_in: int, tokens_out: int, money: float, error: str
    ) -> None:
        """Write an answer, or the error that came instead."""
        row = (slot.generation, slot.place, slot.attempt, prompt, answer, tokens_in, tokens_out, money, error)
        holes = ", ".join("?" * (len(row) + 1))
        self._connection.execute(f"INSERT INTO calls VALUES ({holes})", (*row, checksum(row)))

    def refused(self, generation: int, count: int = 30) -> list[tuple[str, str, str]]:
        """Source, reason and detail of the last programs of language models that were refused before a generation."""
        return self._connection.execute(
            "SELECT source, reason, detail FROM candidates WHERE generation < ? AND mutator GLOB 'llm_*' "
            "AND reason NOT IN ('', 'screened') ORDER BY id DESC LIMIT ?",
            (generation, count),
        ).fetchall()

    def answered(self) -> bool:
        """Whether any question was answered."""
        return self._connection.execute("SELECT count(*) FROM calls WHERE error = ''").fetchone()[0] > 0

    def forget(self, slots: Sequence[Slot]) -> None:
        """Remove the failures of these slots that cost nothing, so that they are asked again. Others stay counted."""
        self._connection.executemany(
            "DELETE FROM calls WHERE generation = ? AND place = ? AND attempt = ? AND error != '' AND tokens_out = 0",
            [(slot.generation, slot.place, slot.attempt) for slot in slots],
        )

    def spent(self, before: tuple[int, int]) -> tuple[int, float]:
        """Calls made in the rounds before this one, failed ones included, and the money that they cost."""
        rows = self._connection.execute("SELECT money FROM calls WHERE (generation, attempt) < (?, ?)", before)
        paid = [money for (money,) in rows]
        return len(paid), math.fsum(paid)  # exact, because the rows are in the order in which answers came


def read_progress(connection: sqlite3.Connection, generation: int) -> Progress:
    """How a search stood after a generation, from its database."""

    def rows(query: str) -> list[tuple]:
        return connection.execute(query, (generation,)).fetchall()

    best = rows(
        "SELECT id, confirmed FROM candidates WHERE generation <= ? AND confirmed IS NOT NULL "
        "ORDER BY confirmed DESC, id LIMIT 1"
    )
    fitness = rows("SELECT fitness FROM candidates WHERE generation = ? AND fitness NOT NULL")
    reasons = rows("SELECT reason, count(*) FROM candidates WHERE generation <= ? AND reason != '' GROUP BY reason")
    ((candidates, steps),) = rows(
        "SELECT coalesce(sum(attempt = 0), 0), coalesce(sum(member_steps), 0) FROM candidates WHERE generation <= ?"
    )
    ((members, gain, joining),) = rows(
        "SELECT total(joined), total(gain * joined), total(member_steps) FROM joins WHERE generation <= ?"
    )
    number, confirmed = best[0] if best else (None, None)
    return Progress(
        generation=generation,
        candidates=candidates,
        member_steps=steps + int(joining),
        best=number,
        confirmed=confirmed,
        median=median(value for (value,) in fitness) if fitness else None,
        rejected=Counter(dict(reasons)),
        members=1 + int(members),
        gain=gain,
    )


def _row(candidate: Candidate) -> tuple[Any, ...]:
    """The row of a candidate, its columns as in schema.sql."""
    slot, admitted = candidate.slot, candidate.admitted
    return (
        *(candidate.id, slot.generation, slot.place, slot.attempt, candidate.side, candidate.source),
        *(candidate.canonical, candidate.mutator, json.dumps(candidate.parents), candidate.note),
        *((admitted.flops, admitted.pointwise, admitted.gain) if admitted else (None, None, None)),
        np.asarray(admitted.curve, dtype=np.float64).tobytes() if admitted else None,
        *(candidate.fitness, candidate.reason, candidate.detail, candidate.confirmed, candidate.confirm_reason),
        candidate.member_steps,
    )


def _candidate(row: Sequence[Any]) -> Candidate:
    """The candidate of a row, without its measurements."""
    number, generation, place, attempt, side, source, canonical, mutator, parents, note, *rest = row
    flops, pointwise, gain, curve, *results = rest
    curve = None if curve is None else tuple(np.frombuffer(curve).tolist())
    admitted = None if curve is None else Admitted(flops, bool(pointwise), gain, curve)
    origin = (source, canonical, mutator, tuple(json.loads(parents)), note)
    return Candidate(number, Slot(generation, place, attempt), side, *origin, admitted, *results)
