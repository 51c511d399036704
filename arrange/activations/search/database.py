"""The state of a search: one SQLite file that holds every candidate, whole generations at a time."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, astuple, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from arrange.activations.evaluation import Admitted, Evaluation
from arrange.activations.search.archive import ANYWHERE, Entry, cell
from arrange.activations.search.bandit import reward
from arrange.activations.search.identity import Identity, identity
from arrange.activations.search.llm_cache import Calls
from arrange.activations.search.proposals import Proposal, Slot
from arrange.activations.search.settings import Search
from arrange.errors import UserError

VERSION = 1  # of schema.sql
SEED = "seed"  # the mutator of the programs that a search begins with


@dataclass(frozen=True)
class Candidate:
    """A proposal and all that became of it. `reason`: why it was not measured at all, where it was not."""

    slot: Slot
    island: int | None  # None: all of them
    proposal: Proposal
    canonical: str
    reason: str = ""
    detail: str = ""
    searched: Evaluation | None = None
    confirmed: Evaluation | None = None

    @property
    def admitted(self) -> Admitted | None:
        """What admission found out about it, where it was let in."""
        return self.searched.admitted if self.searched else None

    @property
    def identity(self) -> Identity:
        """What function it is, as far as that is known."""
        return identity(self.canonical, self.admitted)


@dataclass(frozen=True)
class Position:
    """How far a search has come."""

    generation: int  # the next one
    candidates: int  # places filled so far
    attempts: int  # the same, with those that were tried again
    member_steps: int


@contextmanager
def opened(path: Path, search: Search) -> Iterator["Database"]:
    """The database at `path`, made if it is not there, for this search and this process alone.

    Raises UserError where another process has it, where it belongs to another search, and where it is none.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{path}.lock", timeout=0)  # the operating system's: a killed process holds none
    try:
        lock.acquire()
    except Timeout:
        raise UserError(f"{path}: another process searches there", "wait for its end, or name another file") from None
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            _prepare(connection, path, asdict(search))
            yield Database(connection, search)
    finally:
        lock.release()


def _prepare(connection: sqlite3.Connection, path: Path, about: dict[str, Any]) -> None:
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        empty = not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    except sqlite3.DatabaseError as error:
        raise UserError(f"{path} is no database ({error})", "name another file") from None
    if empty:
        schema = files(__package__).joinpath("schema.sql").read_text()
        connection.executescript(f"BEGIN; {schema}; PRAGMA user_version = {VERSION};")
        connection.execute("INSERT INTO search VALUES (?)", (json.dumps(about),))
        connection.execute("COMMIT")
    elif version != VERSION:
        raise UserError(f"{path} has version {version} of the tables, not {VERSION}", "name another file")
    connection.execute("PRAGMA journal_mode = WAL")  # others may read meanwhile
    connection.execute("PRAGMA synchronous = FULL")  # a paid answer outlives a power cut
    there = json.loads(connection.execute("SELECT about FROM search").fetchone()[0])
    for name in sorted(there.keys() | about.keys()):
        if there.get(name) != about.get(name):
            raise UserError(
                f"{path} belongs to another search: {name} is {there.get(name)} there, {about.get(name)} here",
                "name another file, or remove that one to begin anew",
            )


class Database:
    """An open database. Everything is read anew when it is asked for: there is no state beside the file."""

    def __init__(self, connection: sqlite3.Connection, search: Search) -> None:
        self.connection = connection
        self._search = search
        self.ledger = Calls(connection)

    def position(self) -> Position:
        """How far the search has come."""
        row = self.connection.execute(
            "SELECT coalesce(max(generation) + 1, 0), total(attempt = 0), count(*), total(member_steps) FROM candidates"
        ).fetchone()
        return Position(*map(int, row))

    def elites(self) -> list[list[Entry]]:
        """Each island's elites by their confirmed fitness, best first."""
        islands: list[list[Entry]] = [[] for _ in range(self._search.islands)]
        for island, number, source, canonical, fitness, flops, pointwise, gain, curve in self.connection.execute(
            "SELECT elites.island, id, source, canonical, confirmed, flops, pointwise, gain, curve "
            "FROM elites JOIN candidates ON id = candidate "
            "WHERE elites.generation = (SELECT max(generation) FROM candidates) ORDER BY confirmed DESC, id"
        ):
            admitted = _admitted(flops, pointwise, gain, curve)
            place = cell(admitted) if self._search.archive else ANYWHERE
            islands[island].append(Entry(number, source, identity(canonical, admitted), fitness, place))
        return islands

    def children(self) -> Counter[int]:
        """How many candidates each one is a parent of."""
        rows = self.connection.execute("SELECT value, count(*) FROM candidates, json_each(parents) GROUP BY value")
        return Counter(dict(rows.fetchall()))

    def measured(self, canonical: str) -> Evaluation | None:
        """What the search's problems said of this text when networks were trained for it; None if they never were."""
        row = self.connection.execute(
            "SELECT fitness, reason, detail, flops, pointwise, gain, curve FROM candidates "
            "WHERE canonical = ? AND member_steps > 0 ORDER BY id LIMIT 1",
            (canonical,),
        ).fetchone()
        if row is None:
            return None
        fitness, reason, detail, *admitted = row
        return Evaluation(fitness, reason, detail, 0, _admitted(*admitted) if admitted[-1] else None)

    def retested(self) -> list[Identity]:
        """All that were re-tested: a second time would give the same."""
        rows = self.connection.execute(
            "SELECT canonical, flops, pointwise, gain, curve FROM candidates WHERE confirm_reason IS NOT NULL"
        )
        return [identity(canonical, _admitted(*admitted)) for canonical, *admitted in rows]

    def known(self, island: int) -> tuple[set[str], list[np.ndarray]]:
        """The canonical texts of what was tried on an island or lives there, and the curves of what was admitted."""
        rows = self.connection.execute(
            "SELECT canonical, iif(reason = 'similar', NULL, curve) FROM candidates WHERE island = ? OR island IS NULL "
            "OR id IN (SELECT candidate FROM elites WHERE elites.island = ?) ORDER BY id",
            (island, island),
        ).fetchall()
        return {canonical for canonical, _ in rows}, [np.frombuffer(curve) for _, curve in rows if curve]

    def results(self) -> list[tuple[str, float]]:
        """Each attempt's mutator and the reward that its candidate brought, in order."""
        rows = self.connection.execute(
            "SELECT mutator, fitness, (SELECT max(parent.fitness) FROM candidates AS parent "
            "WHERE parent.id IN (SELECT value FROM json_each(child.parents))) "
            "FROM candidates AS child WHERE mutator != ? ORDER BY id",
            (SEED,),
        )
        return [(mutator, reward(fitness, parent)) for mutator, fitness, parent in rows]

    def commit(self, candidates: Mapping[int, Candidate], elites: Sequence[Sequence[Entry]]) -> None:
        """Write a whole generation in one transaction: its candidates by id, and who holds a place after it."""
        generation = next(iter(candidates.values())).slot.generation
        rows = [_row(number, candidate) for number, candidate in candidates.items()]
        measured = [row for number, candidate in candidates.items() for row in _measured(number, candidate)]
        standing = [(generation, island, entry.id) for island, entries in enumerate(elites) for entry in entries]
        self.connection.execute("BEGIN IMMEDIATE")
        for table, content in (("candidates", rows), ("measurements", measured), ("elites", standing)):
            if content:
                holes = ", ".join("?" * len(content[0]))
                self.connection.executemany(f"INSERT INTO {table} VALUES ({holes})", content)
        self.connection.execute("COMMIT")


def _admitted(flops: float, pointwise: int, gain: float, curve: bytes) -> Admitted:
    return Admitted(flops, bool(pointwise), gain, tuple(np.frombuffer(curve).tolist()))


def _row(number: int, candidate: Candidate) -> tuple[Any, ...]:
    slot, proposal, searched, confirmed = candidate.slot, candidate.proposal, candidate.searched, candidate.confirmed
    admitted = candidate.admitted
    return (
        *(number, slot.generation, slot.place, slot.attempt, candidate.island, proposal.source, candidate.canonical),
        *(proposal.mutator, json.dumps(proposal.parents), proposal.note),
        *((admitted.flops, admitted.pointwise, admitted.gain) if admitted else (None, None, None)),
        np.asarray(admitted.curve, dtype=np.float64).tobytes() if admitted else None,
        searched and searched.fitness,
        candidate.reason or (searched.reason if searched else ""),
        candidate.detail or (searched.detail if searched else ""),
        confirmed and confirmed.fitness,
        confirmed and confirmed.reason,
        sum(evaluation.member_steps for evaluation in (searched, confirmed) if evaluation),
    )


def _measured(number: int, candidate: Candidate) -> Iterator[tuple[Any, ...]]:
    for name, evaluation in (("search", candidate.searched), ("confirm", candidate.confirmed)):
        for measurement in evaluation.measurements if evaluation else ():
            yield number, name, *astuple(measurement)
