"""The database: for one search and one process, whole generations, answers kept at once."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
from activations.search.target import in_child
from activations.small import search as settings

from arrange.activations.evaluation import Admitted, Measurement
from arrange.activations.search.candidates import SEED, Candidate, Slot
from arrange.activations.search.database import Position, opened
from arrange.activations.search.joining import Join
from arrange.errors import UserError


def opened_once(path, search):
    with opened(path, *search) as database:
        return database.position()


def test_a_second_process_is_refused_and_the_first_goes_on(tmp_path):
    path = tmp_path / "one.db"
    with opened(path, *settings()) as database:
        refused = in_child(lambda: opened_once(path, settings()))
        database.llm_cache.record(Slot(0, 0, 0), "?", "!", 1, 1, 0.5, "")
    assert refused.startswith("UserError: ")
    assert "one.db is in use: another process searches there\n" in refused
    assert in_child(lambda: opened_once(path, settings())) == Position(0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"seed": 4}, "seed is 3 there, 4 here"),
        ({"arm": "random"}, "arm is evolution there, random here"),
        ({"elites": 9}, "elites is 6 there, 9 here"),
    ],
)
def test_another_search_is_refused(tmp_path, changed, told):
    opened_once(tmp_path / "one.db", settings())
    with pytest.raises(UserError, match=told):
        opened_once(tmp_path / "one.db", settings(**changed))


def test_what_is_no_database_of_a_search_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to have a header" * 9)
    with pytest.raises(UserError, match=r"is damaged \(file is not a database\)\n.*notes.txt\* and run again"):
        opened_once(path, settings())
    assert path.read_text().startswith("not a database")
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("CREATE TABLE another (thing)")
    before = (tmp_path / "other.db").read_bytes()
    with pytest.raises(UserError, match="has version 0"):
        opened_once(tmp_path / "other.db", settings())
    assert (tmp_path / "other.db").read_bytes() == before


def test_answers_and_errors_are_recalled_by_slot_and_prompt(tmp_path):
    with opened(tmp_path / "one.db", *settings()) as database:
        cache, slot = database.llm_cache, Slot(1, 2, 0)
        assert cache.recall(slot, "improve") is None
        cache.record(slot, "improve", "x * 2", 7, 3, 0.5, "")
        assert cache.recall(slot, "improve") == ("x * 2", "")
        assert cache.recall(slot, "simplify") is None
        for other in (Slot(2, 2, 0), Slot(1, 1, 0), Slot(1, 2, 1)):
            assert cache.recall(other, "improve") is None
        cache.record(Slot(1, 0, 1), "improve", "", 7, 0, 0.25, "status 500")
        assert cache.recall(Slot(1, 0, 1), "improve") == ("", "status 500")
        rounds = {(1, 0): (0, 0.0), (1, 1): (1, 0.5), (1, 2): (2, 0.75), (2, 0): (2, 0.75)}
        assert {before: cache.spent(before) for before in rounds} == rounds
        with sqlite3.connect(tmp_path / "one.db") as reader:  # committed before anything else happens
            assert reader.execute("SELECT count(*) FROM calls").fetchone() == (2,)
    with opened(tmp_path / "one.db", *settings()) as database:
        assert database.llm_cache.recall(Slot(1, 2, 0), "improve") == ("x * 2", "")


def candidate(id, generation, place, text, fitness, confirmed=None, parents=(), reason=""):
    """A candidate whose program, canonical text and curve are all told by `text`."""
    is_retested = confirmed is not None
    losses = (0, 0.1, 1.0, 2.0, 3.0)
    measurements = (("search", Measurement("first", "p 0", "p", *losses)),)
    if is_retested:
        measurements += (("confirm", Measurement("confirm", "q 0", "q", *losses)),)
    return Candidate(
        id,
        Slot(generation, place, 0),
        generation % 2,
        text,
        text,
        "told" if generation else SEED,
        parents,
        admitted=Admitted(1.0, True, 1.0, (float(len(text)),) * 65) if not reason else None,
        fitness=fitness,
        reason=reason,
        confirmed=confirmed,
        confirm_reason="" if is_retested else None,
        member_steps=10 + 30 * is_retested,
        measurements=measurements,
    )


def bare(one):
    return replace(one, measurements=())


def test_what_was_committed_is_read_back_by_hand(tmp_path):
    search = settings()
    a = candidate(1, 0, 0, "a", 0.5, confirmed=0.2)
    b = candidate(2, 0, 1, "bb", 0.1, confirmed=0.4)
    c = candidate(3, 1, 0, "ccc", None, parents=(2,), reason="unusable")
    d = candidate(4, 1, 1, "dddd", 0.9, confirmed=0.3, parents=(1, 2))
    e = candidate(5, 1, 2, "eeeee", -0.3, parents=(2,))
    f = replace(candidate(6, 1, 3, "aaaaaa", None), reason="duplicate", member_steps=0)
    tried = [Join(0, b, 0.25, 100, True), Join(0, a, None, 100, False), Join(1, d, 0.5, 100, True)]
    with opened(tmp_path / "one.db", *search) as database:
        assert (database.elites(), database.portfolio(), database.retested(), database.functions()) == ([], [], [], {})
        database.commit([a, b], [[b, a], []])
        assert database.position() == Position(1, 2, 2, 80, 0)
        database.commit([c, d, e, f], [[b], [d]], tried)
    with opened(tmp_path / "one.db", *search) as database:
        assert database.position() == Position(2, 6, 6, 140 + 300, 2)
        assert database.elites() == [bare(b), bare(d)]
        assert database.portfolio() == [bare(b), bare(d)]
        assert database.retested() == [replace(one, measurements=one.measurements[1:]) for one in (a, b, d)]
        assert database.functions() == {one.id: one.function for one in (a, b, d, e)}
        progress = database.progress(1)
        assert (progress.members, progress.gain, progress.member_steps) == (3, 0.75, 440)
        assert (database.progress(0).members, database.progress(0).gain) == (1, 0)
