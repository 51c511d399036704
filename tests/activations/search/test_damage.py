"""A damaged database ends in two lines or in the same bytes: never in a traceback, never in other results."""

import os
import resource
import shutil
import sqlite3
import tempfile
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from activations.search.target import SEEDED, exported, in_child, objective, paying, run
from activations.small import search as settings

from arrange.activations.search.export import tables
from arrange.errors import UserError

CONNECT = sqlite3.connect
SEARCH = settings(candidates=len(SEEDED) + 32, budget=800)  # seeds, then four generations; rounds end on the way
LAST = 2  # the generation that the stopped search wrote last

CHANGES = {  # statements of SQL, and what is said of them
    "no candidates": ("DROP TABLE candidates", "tables"),
    "no measurements": ("DROP TABLE measurements", "tables"),
    "no elites": ("DROP TABLE elites", "tables"),
    "no joins": ("DROP TABLE joins", "tables"),
    "no calls": ("DROP TABLE calls", "tables"),
    "no digests": ("DROP TABLE digests", "tables"),
    "no settings": ("DROP TABLE search", "tables"),
    "a column less": ("ALTER TABLE candidates DROP COLUMN note", "tables"),
    "a column more": ("ALTER TABLE candidates ADD COLUMN more TEXT", "tables"),
    "no index": ("DROP INDEX measurements_by_candidate", "tables"),
    "a trigger": ("CREATE TRIGGER t AFTER INSERT ON elites BEGIN DELETE FROM elites; END", "tables"),
    "an older version": ("PRAGMA user_version = 2", "has version 2 of the tables, not 3"),
    "a newer version": ("PRAGMA user_version = 9", "has version 9"),
    "an empty search row": ("DELETE FROM search", "settings"),
    "two search rows": ("INSERT INTO search SELECT * FROM search", "settings"),
    "empty settings": ("UPDATE search SET about = ''", "settings"),
    "settings that are no JSON": ("UPDATE search SET about = '{'", "settings"),
    "settings that are a list": ("UPDATE search SET about = '[1]'", "settings"),
    "another setting": ("UPDATE search SET about = json_set(about, '$.elites', 9)", "elites is 9 there, 6 here"),
    "a changed fitness": ("UPDATE candidates SET fitness = fitness + 1e-9 WHERE id = 3", "generation 0"),
    "a changed confirmed fitness": ("UPDATE candidates SET confirmed = 9 WHERE id = 14", "generation 1"),
    "a changed source": ("UPDATE candidates SET source = 'x' WHERE id = 1", "generation 0"),
    "a changed text": ("UPDATE candidates SET canonical = 'x' WHERE id = 20", "generation 2"),
    "a text that isn't UTF-8": ("UPDATE candidates SET detail = CAST(x'ff' AS TEXT) WHERE id = 2", "UTF-8"),
    "parents that are no JSON": ("UPDATE candidates SET parents = '[' WHERE id = 14", "generation 1"),
    "a short curve": ("UPDATE candidates SET curve = x'00' WHERE id = 2", "generation 0"),
    "a flat curve": ("UPDATE candidates SET curve = zeroblob(520) WHERE id = 2", "generation 0"),
    "no curve": ("UPDATE candidates SET curve = NULL WHERE id = 2", "generation 0"),
    "changed steps": ("UPDATE candidates SET member_steps = 0 WHERE id = 2", "generation 0"),
    "a removed candidate": ("DELETE FROM candidates WHERE id = 14", "generation 1"),
    "a removed seed generation": ("DELETE FROM candidates WHERE generation = 0", "generation 0"),
    "no candidate left": ("DELETE FROM candidates", "generation 0"),
    "a candidate more": ("UPDATE candidates SET generation = 0, place = 77 WHERE id = 14", "generation 0"),
    "a candidate of a later generation": ("UPDATE candidates SET generation = 9 WHERE id = 21", "generation 2"),
    "a generation of another number": ("UPDATE candidates SET generation = 3 WHERE generation = 2", "generation 2"),
    "a generation twice": (
        "CREATE TEMP TABLE copies AS SELECT * FROM candidates WHERE generation = 2; "
        "UPDATE copies SET id = id + 100, generation = 3; INSERT INTO candidates SELECT * FROM copies",
        "candidates has rows of no generation",
    ),
    "a removed measurement": ("DELETE FROM measurements WHERE candidate = 14", "generation 1"),
    "a changed loss": ("UPDATE measurements SET ood = 0 WHERE candidate = 14", "generation 1"),
    "a measurement of nothing": ("UPDATE measurements SET candidate = 999 WHERE candidate = 14", "generation 1"),
    "a measurement more": (
        "INSERT INTO measurements VALUES (999, 'search', 'first', 'p', 'p', 0, 1, 1, 1, 1)",
        "measurements has rows of no generation",
    ),
    "no elite": ("DELETE FROM elites", "generation 0"),
    "no elite of the last generation": (f"DELETE FROM elites WHERE generation = {LAST}", "generation 2"),
    "an elite less": (
        "DELETE FROM elites WHERE generation = 2 AND candidate = (SELECT max(candidate) FROM elites)",
        "generation 2",
    ),
    "an elite more": ("INSERT INTO elites VALUES (2, 0, 999)", "generation 2"),
    "an elite of no side": ("UPDATE elites SET side = 9 WHERE (generation, side) = (2, 1)", "generation 2"),
    "a member less": ("UPDATE joins SET joined = 0", "generation"),
    "a member more": ("INSERT INTO joins VALUES (9, 1, 0, 1, 1, 1)", "generation 0"),
    "a member of a later generation": ("INSERT INTO joins VALUES (9, 1, 9, 1, 1, 1)", "joins has rows of no gen"),
    "elites of a later generation": ("INSERT INTO elites VALUES (7, 0, 1)", "elites has rows of no generation"),
    "a changed digest": ("UPDATE digests SET digest = 'x' WHERE generation = 1", "generation 1"),
    "a removed digest": ("DELETE FROM digests WHERE generation = 1", "generation 1"),
    "no last digest": (f"DELETE FROM digests WHERE generation = {LAST}", "candidates has rows"),
    "a changed answer": ("UPDATE calls SET answer = 'x' WHERE generation = 1", "generation 1"),
    "a changed price": ("UPDATE calls SET money = 0 WHERE generation = 1", "generation 1"),
    "a removed answer": ("DELETE FROM calls WHERE generation = 1", "generation 1"),
    "a changed answer of what isn't done": ("UPDATE calls SET answer = 'x' WHERE generation = 3", "the answer of gen"),
}


def overwritten(path, start, content):
    with path.open("r+b") as file:
        file.seek(start if start >= 0 else path.stat().st_size // 2)
        file.write(content)


def a_folder(path):
    path.unlink()
    path.mkdir()


FILES = {
    "half of the file": (lambda path: os.truncate(path, path.stat().st_size // 2), "is damaged"),
    "its last byte missing": (lambda path: os.truncate(path, path.stat().st_size - 1), "is damaged"),
    "its first 100 bytes": (lambda path: os.truncate(path, 100), "is damaged"),
    "zeros in the middle": (lambda path: overwritten(path, -1, bytes(8192)), "is damaged"),
    "zeros at the start": (lambda path: overwritten(path, 0, bytes(64)), "is damaged"),
    "a text file": (lambda path: path.write_text("a text that is long enough for a header\n" * 9), "is damaged"),
    "a folder in its place": (a_folder, "can't be opened as a file"),
    "a folder in the place of its lock": (lambda path: a_folder(path.with_name("one.db.lock")), "can't be locked"),
}


class StoppedError(Exception):
    pass


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The tables' bytes of an unbroken search, and the database of one that was stopped with answers in hand."""
    folder, calls = tmp_path_factory.mktemp("search"), []

    def stopping(sources, name, *more):
        calls.append(name)
        if calls.count("search") > LAST + 1:
            raise StoppedError
        return objective(sources, name, *more)

    run(folder / "whole.db", SEARCH, paying(folder / "receipts"))
    with pytest.raises(StoppedError):
        run(folder / "one.db", SEARCH, paying(folder / "receipts"), stopping)
    found = tables(folder / "one.db")
    assert found["candidates"]["generation"].max() == LAST
    assert set(found["calls"]["generation"]) == {1, 2, 3}
    return exported(folder / "whole.db", folder / "tables"), folder / "one.db"


@pytest.fixture
def stopped(made, tmp_path):
    """A copy of the stopped search."""
    (tmp_path / "one.db.lock").touch()
    return shutil.copy(made[1], tmp_path / "one.db")


def resumed(path):
    run(path, SEARCH, paying(path.with_name("receipts")))
    return exported(path, path.with_name("tables"))


def changed(path, statements):
    with closing(CONNECT(path, isolation_level=None)) as connection:
        connection.executescript(statements)


def two_lines(error, path):
    """The remedy of a UserError about this database."""
    what, remedy = str(error).split("\n")
    assert what.startswith(str(path))
    return what, remedy


@pytest.mark.parametrize("name", CHANGES)
def test_rows_and_tables_that_were_changed_are_told(name, stopped):
    statements, words = CHANGES[name]
    before = stopped.read_bytes()
    changed(stopped, statements)
    assert stopped.read_bytes() != before
    with pytest.raises(UserError) as caught:
        resumed(stopped)
    what, remedy = two_lines(caught.value, stopped)
    assert words in what
    assert remedy == f"remove {stopped}* and run again: the search begins anew"


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_whole_database_is_told(name, stopped):
    damage, words = FILES[name]
    damage(stopped)
    with pytest.raises(UserError) as caught:
        resumed(stopped)
    what, remedy = two_lines(caught.value, stopped)
    assert words in what
    assert f"remove {stopped}*" in remedy


def take_back(path):
    """The stopped search as it was a generation before."""
    changed(
        path,
        f"DELETE FROM measurements WHERE candidate IN (SELECT id FROM candidates WHERE generation = {LAST});"
        f"DELETE FROM joins WHERE generation = {LAST};"
        f"DELETE FROM candidates WHERE generation = {LAST}; DELETE FROM elites WHERE generation = {LAST};"
        f"DELETE FROM digests WHERE generation = {LAST}; DELETE FROM calls WHERE generation > {LAST}",
    )


HARMLESS = {
    "nothing": lambda path: None,
    "the file is gone": lambda path: path.unlink(),
    "an empty file": lambda path: os.truncate(path, 0),
    "an answer of what isn't done is gone": lambda path: changed(path, f"DELETE FROM calls WHERE generation > {LAST}"),
    "the last generation was taken back whole": take_back,
    "packed and with statistics": lambda path: changed(path, "VACUUM; ANALYZE"),
    "what another database left beside it": lambda path: path.with_name("one.db-wal").write_bytes(bytes(5000)),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_does_no_harm_ends_with_the_same_bytes(name, stopped, made):
    HARMLESS[name](stopped)
    assert resumed(stopped) == made[0]


@pytest.mark.parametrize("lock", ["PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE", "BEGIN IMMEDIATE"])
def test_a_database_that_another_program_holds_is_told_before_the_work(lock, stopped, made, monkeypatch):
    monkeypatch.setattr(sqlite3, "connect", partial(CONNECT, timeout=0))
    with closing(CONNECT(stopped, isolation_level=None)) as other:
        other.executescript(lock)
        with pytest.raises(UserError) as caught:
            run(stopped, SEARCH, {}, evaluate=None)  # gets no further
    what, remedy = two_lines(caught.value, stopped)
    assert "is held by another program (database is locked)" in what
    assert remedy.startswith("end that program, then run again: the search goes on")
    assert resumed(stopped) == made[0]


def test_a_full_disk_is_told_and_the_search_goes_on(stopped, made, monkeypatch):
    def limited(*arguments, **named):
        connection = CONNECT(*arguments, **named)
        connection.execute(f"PRAGMA max_page_count = {stopped.stat().st_size // 4096 + 1}")
        return connection

    with monkeypatch.context() as context:
        context.setattr(sqlite3, "connect", limited)
        with pytest.raises(UserError) as caught:
            resumed(stopped)
    what, remedy = two_lines(caught.value, stopped)
    assert "the disk is full" in what
    assert remedy.startswith("make room, then run again: the search goes on")
    assert resumed(stopped) == made[0]


def test_a_write_that_the_system_refuses_is_told_and_the_search_goes_on(stopped, made):
    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        resumed(stopped)

    told = in_child(limited)
    assert told.startswith(f"UserError: {stopped} can't be read or written (disk I/O error)\n")
    assert resumed(stopped) == made[0]


@pytest.mark.parametrize(
    ("file", "folder", "words"), [(0o444, 0o777, "can't be written"), (0o644, 0o555, "can't be locked")]
)
def test_what_is_read_only_is_told(file, folder, words, made):
    """In a folder that anyone may enter, as a user who is not root."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(shutil.copy(made[1], Path(place, "one.db")))
        path.chmod(file)
        path.parent.chmod(folder)

        def as_another():
            if not os.geteuid():
                os.setresuid(65534, 65534, 65534)
            resumed(path)

        told = in_child(as_another)
        path.parent.chmod(0o755)
    assert told.startswith(f"UserError: {path} {words}")
    assert told.count("\n") == 1
