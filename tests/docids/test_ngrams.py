"""The n-grams of a corpus, compared with looking for them in every document."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arrange.docids import ngrams
from arrange.errors import UserError

END = 0
# Few tokens, so that most n-grams are in several documents, and several times in one.
corpora = st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=6), min_size=1, max_size=6)
Where = dict[tuple[int, ...], list[tuple[int, int]]]  # of each n-gram: its documents, and its places in them


def brute_force(corpus: list[list[int]], length: int) -> Where:
    """All n-grams up to a length, by looking at every document between its separators."""
    where: Where = defaultdict(list)
    for row, tokens in enumerate(corpus):
        text = (END, *tokens, END)
        for begin in range(len(text) - 1):
            for end in range(begin + 1, min(begin + length, len(text)) + 1):
                where[text[begin:end]].append((row, begin))
    return where


def located(index: ngrams.NgramIndex, first: int, end: int) -> list[tuple[int, int]]:
    places = np.sort(index.place_S[first:end])
    documents = index.documents(places)
    return list(zip(documents.tolist(), (places - index.begin_D1[documents]).tolist(), strict=True))


@pytest.mark.parametrize(("scanned", "chunk", "step"), [(0, 2**22, 1), (2**16, 1, 1), (2**16, 9, 30_000)])
@settings(max_examples=100, deadline=None)
@given(corpora, st.integers(1, 7))
def test_every_ngram_is_found_where_it_stands_and_nothing_else(scanned, chunk, step, corpus, length):
    """Whole tries are walked: by bisection and by scanning, sorted in chunks, with tokens of which few fit a key."""
    corpus = [[token * step for token in tokens] for tokens in corpus]
    seen: Where = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ngrams, "SCANNED", scanned)
        patch.setattr(ngrams, "CHUNK", chunk)
        index = ngrams.build(corpus, END, length)
        nodes = [((), 0, len(index.place_S))]
        for depth in range(length):
            row_C, token_C, first_C, end_C = index.children(*(np.array([n[at] for n in nodes]) for at in (1, 2)), depth)
            assert (np.diff(row_C) >= 0).all()
            names = [(*nodes[row][0], token) for row, token in zip(row_C.tolist(), token_C.tolist(), strict=True)]
            children = list(zip(names, first_C.tolist(), end_C.tolist(), strict=True))
            for ngram, first, end in children:
                seen[ngram] = located(index, first, end)
                assert index.find(ngram) == (first, end)
            nodes = [child for child in children if child[0] == (END,) or child[0][-1] != END]
            if not nodes:
                break
    assert seen == brute_force(corpus, length)


@given(corpora, st.integers(1, 7), st.lists(st.integers(0, 4), max_size=8))
def test_an_ngram_that_no_document_has_is_not_found(corpus, length, ngram):
    index = ngrams.build(corpus, END, length)
    first, end = index.find(ngram)
    expected = brute_force(corpus, length).get(tuple(ngram), [])
    if ngram:
        assert located(index, first, end) == expected
    else:
        assert (first, end) == (0, sum(map(len, corpus)) + len(corpus))


@given(corpora, st.integers(1, 7))
def test_windows_are_the_longest_ngrams(corpus, length):
    index = ngrams.build(corpus, END, length)
    windows = [index.window(place) for place in range(len(index.place_S))]
    expected = []
    for tokens in corpus:
        text = [END, *tokens, END]
        expected += [text[begin : begin + length] for begin in range(len(text) - 1)]
    assert windows == expected
    assert [windows[place] for place in index.place_S] == sorted(windows)


def test_by_hand():
    index = ngrams.build([[7, 8], [8, 8], [8]], separator=0, length=3)
    assert index.token_T.tolist() == [0, 7, 8, 0, 8, 8, 0, 8, 0]
    assert index.token_T.dtype == np.uint16
    assert index.begin_D1.tolist() == [0, 3, 6, 8]
    assert [index.find(n)[1] - index.find(n)[0] for n in ([8], [8, 8], [8, 0], [0, 8], [0, 8, 0], [7, 0])] == [
        4,
        1,
        3,
        2,
        1,
        0,
    ]
    row_C, token_C, first_C, end_C = index.children(*(np.array([bound]) for bound in index.find([8])), 1)
    assert (row_C.tolist(), token_C.tolist(), (end_C - first_C).tolist()) == ([0, 0], [0, 8], [3, 1])


def test_what_cannot_be_indexed_is_refused():
    for corpus in ([], [[7], []]):
        with pytest.raises(UserError, match="without tokens"):
            ngrams.build(corpus, END, 3)
    with pytest.raises(UserError, match="document 1 has the separator"):
        ngrams.build([[7], [8, END]], END, 3)
