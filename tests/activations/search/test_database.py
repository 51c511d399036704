"""The database: for one search and one process, whole generations, answers kept at once."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from math import expm1

import pytest
from activations.search.target import in_child, settings

from arrange.activations.evaluation import Admitted, Evaluation
from arrange.activations.search.archive import Entry
from arrange.activations.search.database import SEED, Candidate, Position, opened
from arrange.activations.search.identity import Identity
from arrange.activations.search.proposals import Proposal, Slot
from arrange.errors import UserError


def opened_once(path, search):
    with opened(path, search) as database:
        return database.position()


def test_a_second_process_is_refused_and_the_first_goes_on(tmp_path):
    path = tmp_path / "one.db"
    with opened(path, settings()) as database:
        refused = in_child(lambda: opened_once(path, settings()))
        database.ledger.record(Slot(0, 0, 0), "?", "!", 1, 1, 0.5, "")
    assert refused.startswith("UserError: ")
    assert "one.db: another process searches there" in refused
    assert in_child(lambda: opened_once(path, settings())) == Position(0, 0, 0, 0)


@pytest.mark.parametrize(
    ("changed", "told"),
    [({"seed": 4}, "seed is 3 there, 4 here"), ({"archive": True}, "archive is False there, True here")],
)
def test_another_search_is_refused(tmp_path, changed, told):
    opened_once(tmp_path / "one.db", settings())
    with pytest.raises(UserError, match=told):
        opened_once(tmp_path / "one.db", replace(settings(), **changed))


def test_what_is_no_database_of_a_search_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to have a header" * 9)
    with pytest.raises(UserError, match="is no database"):
        opened_once(path, settings())
    assert path.read_text().startswith("not a database")
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("CREATE TABLE another (thing)")
    before = (tmp_path / "other.db").read_bytes()
    with pytest.raises(UserError, match="has version 0"):
        opened_once(tmp_path / "other.db", settings())
    assert (tmp_path / "other.db").read_bytes() == before


def test_answers_and_errors_are_recalled_by_slot_and_prompt(tmp_path):
    with opened(tmp_path / "one.db", settings()) as database:
        ledger, slot = database.ledger, Slot(1, 2, 0)
        assert ledger.recall(slot, "improve") is None
        ledger.record(slot, "improve", "x * 2", 7, 3, 0.5, "")
        assert ledger.recall(slot, "improve") == ("x * 2", "")
        assert ledger.recall(slot, "simplify") is None
        for other in (Slot(2, 2, 0), Slot(1, 1, 0), Slot(1, 2, 1)):
            assert ledger.recall(other, "improve") is None
        ledger.record(Slot(1, 0, 1), "improve", "", 7, 0, 0.25, "status 500")
        assert ledger.recall(Slot(1, 0, 1), "improve") == ("", "status 500")
        rounds = {(1, 0): (0, 0.0), (1, 1): (1, 0.5), (1, 2): (2, 0.75), (2, 0): (2, 0.75)}
        assert {before: ledger.spent(before) for before in rounds} == rounds
        with sqlite3.connect(tmp_path / "one.db") as reader:  # committed before anything else happens
            assert reader.execute("SELECT count(*) FROM calls").fetchone() == (2,)
    with opened(tmp_path / "one.db", settings()) as database:
        assert database.ledger.recall(Slot(1, 2, 0), "improve") == ("x * 2", "")


def candidate(generation, place, island, text, fitness, confirmed=None, parents=(), reason=""):
    """A candidate whose program, canonical text and curve are all told by `text`."""
    admitted = Admitted(1.0, True, 1.0, (float(len(text)),) * 65)
    return Candidate(
        Slot(generation, place, 0),
        island,
        Proposal(text, "told" if generation else SEED, parents),
        text,
        reason,
        searched=Evaluation(fitness, "", "", 10, admitted),
        confirmed=None if confirmed is None else Evaluation(confirmed, "", "", 30, admitted),
    )


def entry(number):
    return Entry(number, "", Identity(""), 0.0, (0, 0))


def test_what_was_committed_is_read_back_by_hand(tmp_path):
    search = settings(islands=2)
    with opened(tmp_path / "one.db", search) as database:
        seeds = {1: candidate(0, 0, None, "a", 0.5, confirmed=0.2), 2: candidate(0, 1, None, "bb", 0.1, confirmed=0.4)}
        database.commit(seeds, [[entry(1), entry(2)], [entry(1)]])
        children = {
            3: candidate(1, 0, 0, "ccc", None, parents=(2,), reason="similar"),
            4: candidate(1, 1, 1, "dddd", 0.9, confirmed=0.3, parents=(1, 2)),
            5: candidate(1, 2, 0, "eeeee", -0.3, parents=(2,)),
        }
        database.commit(children, [[entry(1), entry(2), entry(4)], [entry(1)]])  # 4 has migrated
    with opened(tmp_path / "one.db", search) as database:
        assert database.position() == Position(2, 5, 5, 50 + 90)
        assert [[entry.id for entry in island] for island in database.elites()] == [[2, 4, 1], [1]]
        assert [entry.fitness for entry in database.elites()[0]] == [0.4, 0.3, 0.2]
        assert database.children() == {1: 1, 2: 3}
        assert database.retested() == [Identity(text, (float(len(text)),) * 65) for text in ("a", "bb", "dddd")]
        assert database.elites()[1][0].identity == Identity("a", (1.0,) * 65)
        assert database.measured("bb") == replace(seeds[2].searched, member_steps=0)
        assert database.measured("b") is None
        assert database.results() == [("told", 0.0), ("told", expm1(0.9 - 0.5)), ("told", 0.0)]
        assert [(texts, [int(curve[0]) for curve in curves]) for texts, curves in map(database.known, (0, 1))] == [
            ({"a", "bb", "ccc", "dddd", "eeeee"}, [1, 2, 4, 5]),  # what was similar widens no circle
            ({"a", "bb", "dddd"}, [1, 2, 4]),
        ]
