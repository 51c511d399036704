"""Whole searches that ask a server many things at once: in any order, killed, interrupted, to the end of the budget."""

import itertools
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from hashlib import sha256

import polars as pl
import pytest
from activations.search.target import SEEDED, in_child, run
from activations.small import search as settings

from arrange.activations.mutators.expression import expression_mutators
from arrange.activations.mutators.llm import llm_mutators
from arrange.activations.search.export import tables

MOST = 100  # tokens of an answer
CONNECT = sqlite3.connect


def said(chat, handler, prompt):
    """An answer that depends on the prompt alone: a program or, one time in five, nonsense. 5 to 20 tokens."""
    luck = int.from_bytes(sha256(prompt.encode()).digest()[:4], "big")
    program = f"def activation(x): return {luck % 997 / 500:.3f} * torch.sin({1 + luck % 13 / 10} * x)"
    chat.write(handler, chat.completion("no idea" if luck % 5 == 0 else program, 0, 5 + luck % 16))


@pytest.fixture
def talkative(chat):
    chat.otherwise = lambda handler, prompt: said(chat, handler, prompt)
    return chat


def asking(chat, **changes):
    """The mutators that ask, given an LLM cache. An answer costs at most 1, those of `said` 0.05 to 0.2."""
    return lambda cache: llm_mutators(chat.settings(max_tokens=MOST, price_out=1e6 / MOST, **changes), cache)


def both(chat, **changes):
    """The same and the offline ones."""
    return lambda cache: {**expression_mutators(), **asking(chat, **changes)(cache)}


def calls(path):
    """All answers of a search, what they cost and their errors, in an order of their own."""
    with closing(CONNECT(path)) as connection:
        return sorted(connection.execute("SELECT * FROM calls"))


def assert_same(one, other):
    found, expected = tables(one), tables(other)
    assert all(table.equals(expected[name]) for name, table in found.items())
    assert calls(one) == calls(other)


def test_a_rounds_questions_are_under_way_together_but_no_more_than_eight(chat, tmp_path):
    meeting, lock = threading.Barrier(8, timeout=20), threading.Lock()
    now, most = 0, 0

    def together(handler, prompt):
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        meeting.wait()  # for seven others, who never come where they are asked one by one
        with lock:
            now -= 1
        said(chat, handler, prompt)

    chat.otherwise = together
    run(tmp_path / "one.db", settings(candidates=len(SEEDED) + 16, generation_size=16, attempts=1), asking(chat))
    assert (len(chat.requests), most) == (16, 8)
    assert not any(error for *_, error, _ in calls(tmp_path / "one.db"))


def test_answers_in_reversed_order_give_the_same_rows(talkative, tmp_path):
    search = settings(candidates=len(SEEDED) + 16, generation_size=8, attempts=1)  # two rounds of eight
    run(tmp_path / "one.db", search, asking(talkative))
    numbers, answered, order = itertools.count(), [threading.Event() for _ in range(16)], []

    def last_come_first_served(handler, prompt):
        number = next(numbers)
        if number % 8 != 7:
            answered[number + 1].wait()
        order.append(number)
        said(talkative, handler, prompt)
        handler.rfile.read()  # until the other side has read it all and closes
        answered[number].set()

    talkative.otherwise = last_come_first_served
    run(tmp_path / "two.db", search, asking(talkative))
    assert order == [7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8]
    assert_same(tmp_path / "one.db", tmp_path / "two.db")


def test_an_answer_is_written_down_while_others_are_waited_for(chat, tmp_path):
    numbers, written, three = itertools.count(), [], threading.Event()

    def slow_but_for_three(handler, prompt):
        if next(numbers) >= 3:
            three.wait()  # for ever, where nothing is written before all have come
        said(chat, handler, prompt)

    def mutators(cache):
        record = cache.record

        def seen(*call):
            record(*call)
            written.append(call)
            if len(written) == 3:
                three.set()

        cache.record = seen
        return asking(chat)(cache)

    chat.otherwise = slow_but_for_three
    run(tmp_path / "one.db", settings(candidates=len(SEEDED) + 8, generation_size=8, attempts=1), mutators)
    assert len(calls(tmp_path / "one.db")) == 8
    assert not any(error for *_, error in written)


def test_asked_one_by_one_they_give_the_same_rows(talkative, tmp_path):
    def one_by_one(cache):
        """Functions, which hear of nothing beforehand."""
        made = both(talkative, money=12.0)(cache)
        return {name: lambda *asked, mutator=mutator: mutator(*asked) for name, mutator in made.items()}

    search = settings(candidates=60)
    run(tmp_path / "one.db", search, both(talkative, money=12.0))
    run(tmp_path / "two.db", search, one_by_one)
    assert_same(tmp_path / "one.db", tmp_path / "two.db")


SEARCH = settings(candidates=75)
MONEY = 4.0  # for four answers that nobody has counted: rounds are cut short by what they could cost


def search(path, chat, last=None):
    """Search to the end, or die of kill -9 as the `last`th answer is written down."""
    records = itertools.count(1)

    def seen(statement):
        if statement.startswith("INSERT INTO calls") and next(records) == last:
            os.kill(os.getpid(), signal.SIGKILL)

    def connect(*arguments, **named):
        connection = CONNECT(*arguments, **named)
        connection.set_trace_callback(seen)
        return connection

    sqlite3.connect = connect  # in a child process, which ends with this
    run(path, SEARCH, both(chat, money=MONEY))


@pytest.mark.parametrize("last", [1, 2, 3, 5, 9, 14, 19])
def test_killed_in_the_middle_of_a_round_it_ends_with_the_same_rows_and_asks_only_for_what_is_missing(
    talkative, tmp_path, last
):
    run(tmp_path / "one.db", SEARCH, both(talkative, money=MONEY))
    asked = len(talkative.requests)
    assert in_child(lambda: search(tmp_path / "two.db", talkative, last)) == signal.SIGKILL
    assert len(calls(tmp_path / "two.db")) == last - 1
    before = len(talkative.requests)
    in_child(lambda: search(tmp_path / "two.db", talkative))
    assert len(talkative.requests) - before == asked - (last - 1)
    assert_same(tmp_path / "one.db", tmp_path / "two.db")
    refused = tables(tmp_path / "one.db")["candidates"].filter(detail="budget")
    assert refused["generation"].min() < calls(tmp_path / "one.db")[-1][0]  # the budget decided more than once


def test_the_budget_is_never_passed_by_answers_that_cost_the_most(chat, tmp_path):
    chat.otherwise = lambda handler, prompt: chat.write(handler, chat.completion("no idea", 0, MOST))
    run(tmp_path / "one.db", settings(candidates=40), asking(chat, money=13.5))
    assert len(chat.requests) == len(calls(tmp_path / "one.db")) == 13
    told = tables(tmp_path / "one.db")["candidates"].filter(pl.col("generation") == 1)
    details = {0: ["no code"] * 8, 1: ["no code"] * 5 + ["budget"] * 3, 2: ["budget"] * 8}
    assert {n: told.filter(attempt=n)["detail"].to_list() for n in details} == details


def test_the_budget_in_calls_is_used_to_the_last_one_and_not_passed(talkative, tmp_path):
    run(tmp_path / "one.db", settings(candidates=40), asking(talkative, calls=11))
    assert len(talkative.requests) == 11


def test_when_the_budget_is_spent_a_search_that_only_asks_ends_with_a_generation(talkative, tmp_path):
    """With 27 candidates of its 40, and without a generation of refusals alone."""
    run(tmp_path / "one.db", settings(candidates=40, attempts=1), asking(talkative, calls=11))
    candidates = tables(tmp_path / "one.db")["candidates"]
    assert candidates["generation"].max() == 2  # the seeds, eight answers, three answers
    assert candidates.filter(detail="budget")["generation"].to_list() == [2] * 5
    run(tmp_path / "one.db", settings(candidates=40, attempts=1), asking(talkative, calls=11))
    assert tables(tmp_path / "one.db")["candidates"].equals(candidates)


def test_with_other_mutators_it_goes_on_without_those_that_ask(talkative, tmp_path):
    run(tmp_path / "one.db", settings(candidates=60), both(talkative, calls=5))
    candidates = tables(tmp_path / "one.db")["candidates"]
    last = calls(tmp_path / "one.db")[-1][0]
    later = candidates.filter(pl.col("generation") > last)
    assert later.filter(attempt=0).height >= 8
    assert not any(name.startswith("llm") for name in later["mutator"])


INTERRUPTED = """
import signal, sys
from pathlib import Path
from activations.search.target import run
from activations.small import llm, search
from arrange.activations.mutators.llm import llm_mutators
signal.signal(signal.SIGINT, signal.default_int_handler)  # also where whoever runs the tests ignores it
endpoint = llm(sys.argv[1], seconds=600.0, retries=3)
run(Path(sys.argv[2]), search(generation_size=16), lambda cache: llm_mutators(endpoint, cache))
"""


def test_ctrl_c_waits_for_no_answer(chat, tmp_path):
    meeting = threading.Barrier(9)

    def silent(handler, prompt):
        meeting.wait()
        chat.closing.wait()  # for the end of the test

    chat.otherwise = silent
    command = [sys.executable, "-c", INTERRUPTED, chat.url, tmp_path / "one.db"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            meeting.wait(60)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=60)  # the questions may take 600 seconds
        finally:
            process.kill()
    assert errors.endswith("KeyboardInterrupt\n")
    assert len(chat.requests) == 8
