"""The search for n-grams against its definition in plain passes; the score of documents against its definition."""

import math
from collections.abc import Sequence

import pytest
from decoding.small import END, TREES, VOCABULARY, logits, small
from hypothesis import given, settings
from hypothesis import strategies as st

from arrange.decoding.intersective import ranked, weight
from arrange.decoding.ngrams import Ngram, search
from arrange.decoding.settings import Intersective
from arrange.docids import ngrams
from arrange.errors import UserError

Corpus = list[list[int]]
# Few tokens, so that n-grams are in several documents and overlap.
corpora = st.lists(st.lists(st.integers(3, 5), min_size=1, max_size=6), min_size=1, max_size=5)
PROMPTS = [[1, 9], [1, 7, 8, 12], [1]]
EVERYTHING = Intersective(alpha=2.0, beta=0.8, frequent=10**9)


def every_ngram(corpus: Corpus, length: int) -> set[tuple[int, ...]]:
    texts = [(END, *tokens, END) for tokens in corpus]
    return {
        text[begin:end]
        for text in texts
        for begin in range(len(text) - 1)
        for end in range(begin + 1, min(begin + length, len(text)) + 1)
    }


def by_definition(prompt: list[int], legal: set[tuple[int, ...]], length: int, beams: int) -> list[tuple]:
    """The n-grams of all steps and their log-probabilities, candidate by candidate."""
    model, found = small("llama"), []
    growing: list[tuple[tuple[int, ...], float]] = [((), 0.0)]
    for _ in range(length):
        candidates = []
        for prefix, total in growing:
            log_p_V = logits(model, [*prompt, *prefix])[-1].log_softmax(-1)
            longer = [(*prefix, token) for token in range(VOCABULARY) if (*prefix, token) in legal]
            candidates += [(ngram, total + log_p_V[ngram[-1]].item()) for ngram in longer]
        candidates.sort(key=lambda each: -each[1])
        ends = [len(ngram) > 1 and ngram[-1] == END for ngram, _ in candidates]
        ended = [each for each, end in zip(candidates[:beams], ends, strict=False) if end]
        growing = [each for each, end in zip(candidates, ends, strict=True) if not end][:beams]
        found += sorted([*ended, *growing], key=lambda each: -each[1])
    return [(ngram, total) for ngram, total in found if ngram != (END,)]


@settings(max_examples=25, deadline=None)
@given(corpora, st.integers(2, 5), st.integers(1, 4))
def test_the_search_is_that_of_its_definition_and_always_legal(corpus, length, beams):
    index, legal = ngrams.build(corpus, END, length), every_ngram(corpus, length)
    found = search(small("llama"), PROMPTS, index, beams=beams, batch_size=2)
    for prompt, results in zip(PROMPTS, found, strict=True):
        wanted = by_definition(prompt, legal, length, beams)
        assert [ngram.tokens for ngram in results] == [tokens for tokens, _ in wanted]
        assert [ngram.log_p for ngram in results] == pytest.approx([total for _, total in wanted], abs=1e-4)
        for ngram in results:
            assert ngram.tokens in legal
            assert (ngram.first, ngram.end) == index.find(ngram.tokens)


@pytest.mark.parametrize("name", TREES)
def test_a_wide_beam_finds_every_ngram(name):
    corpus = [[3, 4, 5, 3], [4, 4, 6], [7]]
    index = ngrams.build(corpus, END, 4)
    for results in search(small(name), PROMPTS, index, beams=50, batch_size=3):
        assert {ngram.tokens for ngram in results} == every_ngram(corpus, 4) - {(END,)}


def test_a_search_without_beams_or_numbers_is_refused():
    index = ngrams.build([[3]], END, 3)
    with pytest.raises(UserError, match="a search for 0 documents"):
        search(small("llama"), PROMPTS, index, beams=0, batch_size=1)


def score_by_definition(tokens: list[int], weighed: Sequence[tuple[float, tuple[int, ...]]], beta: float) -> float:
    """The score of one document, from its text and the n-grams in order, place by place."""
    text, total = (END, *tokens, END), 0.0
    free, seen = [True] * len(text), set()
    for value, ngram in weighed:
        took = False
        for begin in range(len(text) - len(ngram) + 1):
            span = slice(begin, begin + len(ngram))
            if text[span] == ngram and begin < len(text) - 1 and all(free[span]):
                free[span] = [False] * len(ngram)
                took = True
        if took:
            total += value**2 * (1 - beta + beta * len(set(ngram) - seen) / len(set(ngram)))
            seen |= set(ngram)
    return total


@settings(deadline=None)
@given(corpora, st.data())
def test_documents_have_the_scores_of_the_definition(corpus, data):
    index = ngrams.build(corpus, END, 4)
    names = sorted(every_ngram(corpus, 4) - {(END,)})
    picked = data.draw(st.lists(st.sampled_from(names), unique=True, max_size=8))
    log_ps = data.draw(st.lists(st.floats(-9, 0), min_size=len(picked), max_size=len(picked), unique=True))
    given_ngrams = [Ngram(tokens, *index.find(tokens), log_p) for tokens, log_p in zip(picked, log_ps, strict=True)]
    places = sum(map(len, corpus)) + len(corpus)
    weighed = sorted(((weight(n, places), n.tokens) for n in given_ngrams), key=lambda each: (-each[0], each[1]))
    weighed = [(value, tokens) for value, tokens in weighed if value]
    scores = [score_by_definition(tokens, weighed, 0.8) for tokens in corpus]
    wanted = sorted([(row, score) for row, score in enumerate(scores) if score], key=lambda pair: (-pair[1], pair[0]))
    found = ranked(given_ngrams, index, EVERYTHING)
    assert [score for _, score in found] == pytest.approx([score for _, score in wanted])
    assert dict(found) == pytest.approx(dict(wanted))


def test_a_weight_by_hand():
    # 1 of 8 places in the corpus, 1/2 under the query: the odds are 1 against 1/7
    assert weight(Ngram((3,), 0, 1, math.log(0.5)), 8) == pytest.approx(math.log(7))
    assert weight(Ngram((3,), 0, 4, math.log(0.25)), 8) == 0  # likelier in the corpus than after the query
    assert weight(Ngram((3,), 0, 1, 0.0), 8) < 40  # certain, and yet finite


def test_scores_by_hand():
    index = ngrams.build([[3, 4], [4, 3], [3, 4, 4]], END, 3)
    pair, one = (Ngram(tokens, *index.find(tokens), math.log(0.5)) for tokens in ((3, 4), (4,)))
    heavy, light = weight(pair, 10), weight(one, 10)
    assert heavy > light > 0  # 2 and 4 of 10 places
    # in document 0 the 4 is taken by the pair; in 2 one 4 is left, but its token is known
    expected = {0: heavy**2, 1: light**2, 2: heavy**2 + light**2 * 0.2}
    assert dict(ranked([one, pair], index, EVERYTHING)) == pytest.approx(expected)
    assert [row for row, _ in ranked([one, pair], index, EVERYTHING)] == [2, 0, 1]


def test_frequent_ngrams_find_no_documents_but_count():
    index = ngrams.build([[3, 4], [4, 3], [3, 4, 4]], END, 3)
    pair, one = (Ngram(tokens, *index.find(tokens), math.log(0.5)) for tokens in ((3, 4), (4,)))
    every = dict(ranked([one, pair], index, EVERYTHING))
    assert dict(ranked([one, pair], index, Intersective(alpha=2.0, beta=0.8, frequent=3))) == {
        row: every[row] for row in (0, 2)
    }
    assert ranked([one], index, Intersective(alpha=2.0, beta=0.8, frequent=3)) == []
    assert ranked([], index, EVERYTHING) == []
