"""Killed at any moment and started again, a search ends with the same bytes as an unbroken one."""

import os
import signal
import sqlite3

import numpy as np
import pytest
from activations.search.target import SEEDED, exported, in_child, objective, paying
from activations.small import search as settings

from arrange.activations.search.database import opened
from arrange.activations.search.evolve import evolve
from arrange.activations.search.export import tables

CONNECT = sqlite3.connect
SEARCH = settings(candidates=36, budget=900)  # so that rounds end on the way


def search(path, receipts, last=None, told=SEARCH):
    """Search to the end, or die of kill -9 as the `last`th statement of SQL begins. Returns how many there were."""
    count = 0

    def seen(statement):
        nonlocal count
        count += 1
        if count == last:
            os.kill(os.getpid(), signal.SIGKILL)

    def connect(*arguments, **named):
        connection = CONNECT(*arguments, **named)
        connection.set_trace_callback(seen)
        return connection

    sqlite3.connect = connect  # in a child process, which ends with this
    with opened(path, *told) as database:
        evolve(database, *told, objective, paying(receipts)(database.llm_cache), SEEDED)
    return count


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """An unbroken search: its tables' bytes, the answers it paid for, and how many statements it took."""
    folder = tmp_path_factory.mktemp("unbroken")
    count = in_child(lambda: search(folder / "one.db", folder / "receipts"))
    return exported(folder / "one.db", folder / "tables"), (folder / "receipts").read_text(), count


@pytest.mark.parametrize("lives", [[n] for n in (1, 4, 12, 20)] + [None] * 8, ids=str)
def test_killed_at_any_statement_it_ends_with_the_same_bytes(lives, unbroken, tmp_path, request):
    expected, paid, count = unbroken
    rng = np.random.default_rng(request.node.callspec.indices["lives"])
    path, receipts = tmp_path / "one.db", tmp_path / "receipts"
    ends = [
        in_child(lambda last=last: search(path, receipts, last))
        for last in lives or rng.integers(1, count, size=2).tolist()
    ]
    assert ends[0] == signal.SIGKILL
    in_child(lambda: search(path, receipts))
    assert exported(path, tmp_path / "tables") == expected
    lost = len(receipts.read_text().splitlines()) - len(paid.splitlines())
    assert 0 <= lost <= ends.count(signal.SIGKILL)  # at most the answer that was being written down


@pytest.mark.parametrize("left", [0.0, 0.3, 0.9, None], ids=str)
def test_killed_and_its_log_lost_it_ends_with_the_same_bytes(left, unbroken, tmp_path):
    expected, _, count = unbroken
    path, receipts, log = tmp_path / "one.db", tmp_path / "receipts", tmp_path / "one.db-wal"
    assert in_child(lambda: search(path, receipts, int(0.9 * count))) == signal.SIGKILL
    if left is None:
        log.unlink()
    else:
        os.truncate(log, int(left * log.stat().st_size))
    in_child(lambda: search(path, receipts))
    assert exported(path, tmp_path / "tables") == expected


def test_rounds_end_before_the_search_does(unbroken, tmp_path):
    """Otherwise no kill above falls between two rounds."""
    in_child(lambda: search(tmp_path / "one.db", tmp_path / "receipts"))
    generations = tables(tmp_path / "one.db")["generations"]
    assert generations["members"].n_unique() > 1
    assert generations["members"][-2] > 1


def test_a_finished_search_is_left_as_it_is(unbroken, tmp_path):
    path, receipts = tmp_path / "one.db", tmp_path / "receipts"
    in_child(lambda: search(path, receipts))
    before = exported(path, tmp_path / "before"), receipts.read_text()
    in_child(lambda: search(path, receipts))
    assert (exported(path, tmp_path / "after"), receipts.read_text()) == before
    assert before == unbroken[:2]
