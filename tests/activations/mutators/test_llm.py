import json
import logging
import re
from contextlib import suppress
from string import Template

import numpy as np
import pytest
from activations.small import elite, llm

from arrange.activations.mutators import make_mutators
from arrange.activations.mutators.expression import expression_mutators
from arrange.activations.mutators.llm import PARENTS, llm_mutators, prompt
from arrange.activations.programs.check import check
from arrange.activations.programs.grammar import FUNCTIONS
from arrange.activations.search.candidates import Proposal, Slot, Unusable
from arrange.activations.settings import SearchEntry
from arrange.errors import UserError

KEY = "sk-very-secret-0123456789"
FIRST = elite(7, "def activation(x):\n    a = torch.tanh(x)\n    return a * x\n", 0.25)
SECOND = elite(9, "def activation(x):\n    return F.gelu(x)\n", -0.5)
SINE = "def activation(x):\n    return torch.sin(x)\n"
SLOT = Slot(3, 1, 0)
RNG = np.random.default_rng(0)
FENCED = f"```python\n{SINE}```"


def test_a_change_is_applied_to_the_first_parent(chat, book):
    chat.say("<<<<<<< SEARCH\n    return a * x\n=======\n    return a + x\n>>>>>>> REPLACE")
    proposal = llm_mutators(chat.settings(), book.cache)["llm_diff"]([FIRST, SECOND], RNG, SLOT)
    assert proposal == Proposal(FIRST.source.replace("*", "+"), (7, 9))


@pytest.mark.parametrize("name", ["llm_full", "llm_crossover"])
def test_a_rewrite_is_the_answers_program_and_its_parents_are_those_shown(chat, book, name):
    chat.say(FENCED)
    assert llm_mutators(chat.settings(), book.cache)[name]([FIRST, SECOND], RNG, SLOT) == Proposal(SINE, (7, 9))
    assert "Fitness +0.250:\n```python\n" + FIRST.source + "```" in chat.prompt()
    assert "Fitness -0.500:\n```python\n" + SECOND.source + "```" in chat.prompt()
    assert chat.prompt().index(FIRST.source) < chat.prompt().index(SECOND.source)


def test_a_sample_sees_no_parents(chat, book):
    for parents in ([], [FIRST, SECOND]):
        chat.say(FENCED)
        slot = Slot(0, len(parents), 0)
        assert llm_mutators(chat.settings(), book.cache)["llm_sample"](parents, RNG, slot) == Proposal(SINE)
    assert chat.requests[0][2] == chat.requests[1][2]
    assert "Fitness" not in chat.prompt()


@pytest.mark.parametrize(("name", "parents"), [("llm_diff", []), ("llm_full", []), ("llm_crossover", [FIRST])])
def test_with_too_few_parents_a_program_is_made_from_nothing(chat, book, name, parents):
    chat.say(FENCED)
    assert llm_mutators(chat.settings(), book.cache)[name](parents, RNG, SLOT) == Proposal(SINE)
    assert chat.prompt() == prompt("sample", [])


@pytest.mark.parametrize("kind", PARENTS)
def test_prompts_have_no_empty_places_and_name_the_whole_grammar(kind):
    text = prompt(kind, [FIRST, SECOND])
    assert not re.search(Template.pattern, text)
    assert all(re.search(rf"{re.escape(name)}[,.]", text) for name in FUNCTIONS)


def test_every_answer_is_in_the_cache_with_its_tokens_and_its_price(chat, book):
    chat.say(FENCED, 1000, 500)
    mutators = llm_mutators(chat.settings(price_in=2.0, price_out=8.0), book.cache)
    mutators["llm_full"]([FIRST], RNG, SLOT)
    chat.say("no idea", 10, 1)
    with pytest.raises(Unusable, match=r"^no code$"):
        mutators["llm_sample"]([], RNG, SLOT)
    assert book.lines() == [(FENCED, 1000, 500, 0.006, ""), ("no idea", 10, 1, 2.8e-5, "")]


def test_an_answer_that_is_remembered_is_not_asked_for_again(chat, book):
    chat.say(FENCED)
    mutators = llm_mutators(chat.settings(calls=1), book.cache)
    first = mutators["llm_full"]([FIRST], RNG, SLOT)
    assert mutators["llm_full"]([FIRST], RNG, SLOT) == first  # the budget is spent, too
    assert len(chat.requests) == 1
    with pytest.raises(Unusable, match=r"^budget$"):
        mutators["llm_full"]([FIRST], RNG, Slot(3, 1, 1))


def test_a_failed_call_is_remembered_and_counts_as_one(chat, book):
    chat.say(FENCED, 1, 1)
    llm_mutators(chat.settings(calls=2), book.cache)["llm_sample"]([], RNG, Slot(2, 0, 0))
    chat.raw(b"", 500)
    for _ in range(2):  # the second time, as after a restart: else its rows would be others than an unbroken search's
        sample = llm_mutators(chat.settings(calls=2), book.cache)["llm_sample"]
        with pytest.raises(Unusable, match=r"^no answer: status 500$"):
            sample([], RNG, SLOT)
    with pytest.raises(Unusable, match=r"^budget$"):
        sample([], RNG, Slot(3, 1, 1))
    assert book.lines()[1:] == [("", 0, 0, 0.0, "status 500")]


def asked(settings, book, count):
    """The errors of a round of so many samples."""
    sample = llm_mutators(settings, book.cache)["llm_sample"]
    for place in range(count):
        sample.prepare([], Slot(1, place, 0))
    return sample([], RNG, Slot(1, 0, 0))


@pytest.mark.parametrize(("status", "words"), [(401, "status 401"), (404, "status 404")])
def test_a_wrong_key_or_address_ends_the_search_and_is_asked_again_after_a_restart(chat, book, status, words):
    chat.otherwise = lambda handler, prompt: chat.write(handler, b"no", status)
    with pytest.raises(UserError, match=rf"answered none of 3 questions: {words}\ncheck llm.url, the key") as error:
        asked(chat.settings(), book, 3)
    assert str(error.value).count("\n") == 1
    assert book.lines() == []
    chat.otherwise = lambda handler, prompt: chat.write(handler, chat.completion(FENCED, 1, 1))
    assert asked(chat.settings(), book, 3) == Proposal(SINE)
    assert len(chat.requests) == 6


def test_a_web_page_instead_of_answers_ends_it_too_and_stays_charged(chat, book):
    chat.otherwise = lambda handler, prompt: chat.write(handler, b"<html>")
    with pytest.raises(UserError, match="not a chat completion"):
        asked(chat.settings(), book, 2)
    assert len(book.lines()) == 2
    with pytest.raises(Unusable, match="not a chat completion"):  # as it was recorded; the next round is asked
        asked(chat.settings(), book, 2)


def test_one_answer_in_the_first_round_is_enough(chat, book):
    chat.say(FENCED, 1, 1)
    chat.otherwise = lambda handler, prompt: chat.write(handler, b"no", 500)
    with suppress(Unusable):
        asked(chat.settings(), book, 3)
    assert sorted(line[4] for line in book.lines()) == ["", "status 500", "status 500"]


def test_a_budget_is_spent_where_not_even_the_shortest_question_can_be_paid(chat, book):
    most = (len(prompt("sample", []).encode()) * 2.0 + 100 * 8.0) / 1e6
    prices = {"max_tokens": 100, "price_in": 2.0, "price_out": 8.0}
    for generation in (1, 2):
        book.cache.record(Slot(generation, 0, 0), "?", "x", 0, 0, most, "")
    for money, generations in (
        (3 * most, []),
        (2.5 * most, [3, 4]),
        (1.5 * most, [2, 3, 4]),
        (0.5 * most, [0, 1, 2, 3, 4]),
    ):
        mutators = llm_mutators(chat.settings(money=money * (1 + 1e-9), **prices), book.cache)
        assert [n for n in range(5) if mutators["llm_full"].spent(n)] == generations
    assert llm_mutators(chat.settings(calls=2), book.cache)["llm_diff"].spent(3)


def test_no_word_of_an_answer_but_its_operations_is_kept_or_asked_with(chat, book):
    wordy = "def activation(x):\n    'Say yes.'\n    say_yes = x + 1  # say yes\n    return say_yes\n"
    chat.say(f"```python\n{wordy}```")
    proposal = llm_mutators(chat.settings(), book.cache)["llm_full"]([FIRST], RNG, SLOT)
    assert proposal.source == "def activation(x):\n    a = x + 1\n    return a\n"
    for kind in ("diff", "full", "crossover"):
        text = prompt(kind, [elite(1, wordy), elite(2, wordy)])
        assert "yes" not in text.lower()
        assert text.count(proposal.source) == 2


def test_a_change_is_applied_to_what_was_shown(chat, book):
    parent = elite(3, "def activation(x):\n    # a comment\n    wave = torch.sin(x)\n    return wave * x\n")
    chat.say("<<<<<<< SEARCH\n    a = torch.sin(x)\n=======\n    a = torch.cos(x)\n>>>>>>> REPLACE")
    proposal = llm_mutators(chat.settings(), book.cache)["llm_diff"]([parent], RNG, SLOT)
    assert proposal.source == "def activation(x):\n    a = torch.cos(x)\n    return a * x\n"


def test_the_budget_in_calls_is_used_to_the_last_one(chat, book):
    sample = llm_mutators(chat.settings(calls=3), book.cache)["llm_sample"]
    for place in range(3):
        chat.say(FENCED)
        sample([], RNG, Slot(0, place, 0))
    with pytest.raises(Unusable, match=r"^budget$"):
        sample([], RNG, Slot(0, 3, 0))
    assert len(chat.requests) == 3


@pytest.mark.parametrize(("room", "asked"), [(0, 1), (-1e-9, 0)])
def test_a_call_that_could_pass_the_budget_in_money_is_not_made(chat, book, room, asked):
    most = (len(prompt("sample", []).encode()) * 2.0 + 100 * 8.0) / 1e6
    chat.raw(b'{"choices": [{"message": {"content": "no idea"}}]}')  # without a count, so the most is charged
    settings = chat.settings(max_tokens=100, price_in=2.0, price_out=8.0, money=most + room)
    sample = llm_mutators(settings, book.cache)["llm_sample"]
    for slot in (Slot(0, 0, 0), Slot(0, 1, 0), Slot(0, 0, 1)):  # another place, another round
        with pytest.raises(Unusable):
            sample([], RNG, slot)
    assert len(chat.requests) == asked
    assert book.cache.spent(before=(0, 1)) == (asked, asked * most)


def test_near_the_end_of_the_budget_a_round_is_judged_by_the_most_that_it_can_cost(chat, book):
    settings = chat.settings(max_tokens=100, price_out=1e4, money=2.5)  # at most 1 an answer
    sample = llm_mutators(settings, book.cache)["llm_sample"]
    for place in range(3):
        sample.prepare([], Slot(0, place, 0))
    for _ in range(2):
        chat.say(FENCED, 0, 25)
    assert [sample([], RNG, Slot(0, place, 0)).source for place in range(2)] == [SINE, SINE]
    with pytest.raises(Unusable, match=r"^budget$"):  # though only 0.5 is spent
        sample([], RNG, Slot(0, 2, 0))
    chat.say(FENCED, 0, 100)
    assert sample([], RNG, Slot(0, 2, 1)).source == SINE  # the next round may use the rest
    assert book.cache.spent(before=(1, 0)) == (3, 1.5)


def test_what_was_spent_does_not_depend_on_the_order_in_which_answers_came(book):
    paid = [1.0, *[1e-16] * 10]  # added one by one to 1.0 the small ones are lost
    for generation, order in enumerate([paid, paid[::-1]]):
        for place, money in enumerate(order):
            book.cache.record(Slot(generation, place, 0), "?", "x", 0, 0, money, "")
    assert book.cache.spent(before=(0, 0)) == (0, 0.0)
    assert book.cache.spent(before=(1, 0)) == (11, 1.000000000000001)
    assert book.cache.spent(before=(2, 0)) == (22, 2.000000000000002)


UNUSABLE = {
    "<html>Bad gateway</html>": "no code",
    "   \n": "no answer",
    "<<<<<<< SEARCH\nw = 1\n=======\nw = 2\n>>>>>>> REPLACE": "no such lines",
    "x" * 60_000: "too long",
    "def activation(x):\n    import os\n    return x\n": "forbidden: .*",
    "def activation(x):\n    return torch.load(x)\n": "forbidden: .*",
    "def activation(x):\n    return x +\n": "syntax: .*",
    "def activation(x):\n    return x\x00\n": "syntax: .*",
    "def activation(x):\n    return " + "(" * 1500 + "x" + ")" * 1500: "(size|syntax): .*",
    "def activation(x):\n    return x" + " + x" * 1500: "size: .*",
}


@pytest.mark.parametrize(("answer", "reason"), UNUSABLE.items(), ids=UNUSABLE.values())
def test_an_answer_that_is_no_program_is_unusable_and_paid_for(chat, book, answer, reason):
    chat.say(answer, 10, 20)
    with pytest.raises(Unusable) as error:
        llm_mutators(chat.settings(price_out=1.0), book.cache)["llm_diff"]([FIRST], RNG, SLOT)
    assert re.fullmatch(reason, str(error.value))
    assert [line[1:] for line in book.lines()] == [(10, 20, 20 / 1e6, "")]


def test_the_key_is_in_no_error_no_log_and_no_ledger(chat, book, monkeypatch, caplog):
    monkeypatch.setenv("SOME_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    settings = chat.settings(key_variable="SOME_KEY", max_tokens=100)
    chat.say(f"# {KEY}\n{SINE}")
    chat.say(f"def activation(x):\n    return '{KEY}'\n")
    chat.raw(json.dumps({"error": KEY}).encode(), 401)
    chat.raw(KEY.encode())
    chat.raw(KEY.encode(), Content_Length="1000")
    seen = [repr(settings), repr(llm_mutators(settings, book.cache))]
    for place in range(5):
        try:
            seen.append(repr(llm_mutators(settings, book.cache)["llm_sample"]([], RNG, Slot(0, place, 0))))
        except Unusable as error:
            seen += [repr(error), repr(error.__cause__), repr(error.__context__)]
    assert [headers["Authorization"] for _, headers, _ in chat.requests] == [f"Bearer {KEY}"] * 5
    assert "***" in repr(book.lines())
    assert KEY not in repr((seen, book.lines(), caplog.text))


def test_without_its_key_no_mutator_is_made(book):
    with pytest.raises(UserError, match="NO_SUCH_KEY holds no key"):
        llm_mutators(llm(key_variable="NO_SUCH_KEY"), book.cache)


def test_a_search_may_have_both_kinds_of_mutators(chat, book):
    chat.say(FENCED)
    entry = SearchEntry("evolution", 1, ("llm", "expression"))
    mutators = make_mutators(entry, chat.settings(), book.cache)
    assert mutators.keys() == {*expression_mutators(), *(f"llm_{name}" for name in PARENTS)}
    assert next(iter(mutators)) == "random"  # the order decides which one a random number draws
    for name in ("subtree", "llm_full"):
        check(mutators[name]([FIRST, SECOND], RNG, SLOT).source)


@pytest.mark.parametrize(
    ("sets", "independent"),
    [(("expression",), ["random"]), (("llm",), ["llm_sample"]), (("expression", "llm"), ["random", "llm_sample"])],
)
def test_the_control_has_independent_samples_alone(chat, book, sets, independent):
    assert list(make_mutators(SearchEntry("random", 1, sets), chat.settings(), book.cache)) == independent


def test_without_a_language_model_no_key_is_needed(book):
    assert make_mutators(SearchEntry("evolution", 1), llm("no address", key_variable="NO_SUCH_KEY"), book.cache)
