"""Training pairs of n-grams: of the query's documents, drawn by overlap, the same again for the same seed."""

import numpy as np
import pytest

from arrange.docids import ngrams
from arrange.docids.tokens import Prompt
from arrange.training import losses, packing
from arrange.training.examples import Examples, list_weights
from arrange.training.ngrams import overlap, sampled

END, PAD = 2, 0
CORPUS = [[3, 4, 5, 6], [7, 8], [9]]
INDEX = ngrams.build(CORPUS, END, 3)
LISTS = [(np.array([1, 0]), np.array([1.0, 2.0])), (np.array([2, 1]), np.array([1.0, np.nan]))]


def drawn(samples: int = 5, temperature: float = 0.1, seed: int = 1, queries=((5, 11), (9,))) -> Examples:
    prompts = [Prompt([1, 11], []), Prompt([1, 9], [])]
    return sampled(
        INDEX, prompts, queries, LISTS, samples=samples, temperature=temperature, seed=seed, pad_token_id=PAD
    )


def spelt(examples: Examples, query: int) -> list[list[int]]:
    rows = examples.lists[query][0]
    return [examples.docids.tokens_DT[row, : examples.docids.length_D[row]].tolist() for row in rows]


def test_ngrams_are_of_the_documents_and_have_their_ranks():
    examples = drawn()
    first, second = spelt(examples, 0), spelt(examples, 1)
    assert examples.lists[0][1].tolist() == [1.0] * 5 + [2.0] * 5
    assert all(ngram in ([END, 7, 8], [7, 8, END], [8, END]) for ngram in first[:5])
    assert all(ngram in ([END, 3, 4], [3, 4, 5], [4, 5, 6], [5, 6, END], [6, END]) for ngram in first[5:])
    assert len(second) == 5  # the document without a rank has none
    assert all(ngram in ([END, 9, END], [9, END]) for ngram in second)


def test_what_the_query_has_is_drawn_and_heat_makes_it_even():
    cold = [tuple(ngram) for ngram in spelt(drawn(samples=300, temperature=0.01), 0)[300:]]
    assert set(cold) == {(3, 4, 5), (4, 5, 6), (5, 6, END)}  # those with the 5 of the query, and they are equal
    hot = [tuple(ngram) for ngram in spelt(drawn(samples=300, temperature=1e6), 0)[300:]]
    assert len(set(hot)) == 5
    assert min(map(hot.count, set(hot))) > 30


def test_the_probability_of_a_draw_is_that_of_the_softmax():
    # [END, 7, 8] and [7, 8, END] have a third in common with the query, [8, END] a half
    many = spelt(drawn(samples=4000, temperature=0.5, queries=((8,), (9,))), 0)[:4000]
    expected = np.exp([2 / 3, 2 / 3, 1.0])
    shares = [many.count(ngram) / 4000 for ngram in ([END, 7, 8], [7, 8, END], [8, END])]
    assert shares == pytest.approx(expected / expected.sum(), abs=0.03)
    assert overlap([8, END], {8}) == 0.5


def test_the_same_seed_draws_the_same():
    assert spelt(drawn(), 0) == spelt(drawn(), 0)
    assert spelt(drawn(samples=50), 0) != spelt(drawn(samples=50, seed=2), 0)


def test_documents_weigh_the_same_however_long_they_are():
    """The weights of a document's n-grams are those of its rank, so many times as there are samples."""
    examples = drawn()
    rows, _ = examples.lists[0]
    weights = list_weights(examples, losses.Item(alpha=1.0))[0]
    lists = packing.Lists(np.zeros(len(rows), np.int64), rows, weights)
    trie = packing.tries(examples.docids, lists.query_D, lists.row_D)
    edge_weights = packing.edge_weights(trie, lists.query_D, weights, 1.0, True)
    roots = {int(trie.token_E[e]): edge_weights[e] for e in np.flatnonzero(trie.depth_E == 0)}
    expected = dict.fromkeys(roots, 0.0)
    for place, ngram in enumerate(spelt(examples, 0)):
        expected[ngram[0]] += (2 / 3 if place < 5 else 1 / 3) / 5
    assert roots == pytest.approx(expected)


def test_a_query_without_ranked_documents_has_an_empty_list():
    lists = [(np.array([1]), np.array([np.nan])), LISTS[1]]
    examples = sampled(
        INDEX, [Prompt([1], [])] * 2, [(5,), (9,)], lists, samples=3, temperature=0.1, seed=1, pad_token_id=PAD
    )
    assert len(examples.lists[0][0]) == 0
    assert len(examples.lists[1][0]) == 3
