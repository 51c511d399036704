"""From lists to batches: order of queries, prompts of both regimes, what a batch holds."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import tiny

from arrange.docids import trie
from arrange.docids.catalogue import Catalogue
from arrange.docids.tokens import Prompt, train_tokenizer
from arrange.errors import UserError
from arrange.training import examples, packing, settings
from arrange.training.losses import Item

IN_CONTEXT = replace(tiny.LISTS, candidate=([5], [6]), seed=3)
WITH_NEGATIVE = replace(tiny.LISTS, lists=[(np.arange(3), np.array([2.0, np.nan, 1.0]))] * 4)


def test_lists_hold_rows_of_the_document_table_in_the_queries_order():
    qrels = pl.DataFrame(
        {"query_id": ["a", "a", "b", "b", "c"], "doc_id": ["z", "x", "x", "y", "y"], "rank": [1, None, 1, 1, 1]}
    )
    lists = examples.judged_lists(pl.Series(["b", "a"]), qrels, pl.Series(["x", "y", "z"]))
    assert [rows.tolist() for rows, _ in lists] == [[0, 1], [2, 0]]
    assert lists[0][1].tolist() == [1, 1]
    assert np.array_equal(lists[1][1], [1, np.nan], equal_nan=True)


def test_each_epoch_has_every_query_once_and_the_seed_decides_the_order():
    order = examples.Order(5, 12, seed=1)
    queries = [query for query, _ in (order[place] for place in range(12))]
    assert sorted(queries[:5]) == sorted(queries[5:10]) == list(range(5))
    assert [place for _, place in (order[place] for place in range(12))] == list(range(12))
    assert examples.Order(5, 7, seed=1).query_N.tolist() == queries[:7]
    assert examples.Order(5, 12, seed=2).query_N.tolist() != queries


def test_in_the_corpus_the_prompt_is_the_query_alone():
    assert examples.prompt_of(tiny.LISTS, 1, 99) == [1, 11, 20, 3]


def test_in_context_the_prompt_shows_every_candidate_once_in_an_order_of_its_place():
    docids = [[5, 40, 6], [5, 41, 42, 6], [5, 41, 43, 44, 6]]  # without their end tokens
    seen = set()
    for place in range(40):
        prompt = examples.prompt_of(IN_CONTEXT, 1, place)
        assert prompt[:3] == [1, 11, 20]
        assert prompt[-1] == 3
        shown = " ".join(map(str, prompt[3:-1]))
        assert sorted(len(part.split()) for part in shown.replace("6 5", "6|5").split("|")) == [3, 4, 5]
        assert all(" ".join(map(str, docid)) in shown for docid in docids)
        seen.add(shown)
    assert len(seen) == 6  # all orders of three
    assert examples.prompt_of(IN_CONTEXT, 1, 4) == examples.prompt_of(IN_CONTEXT, 1, 4)


def test_where_queries_are_ranked_the_candidates_order_is_that_of_the_query_and_the_set():
    orders = [examples.prompt_of(IN_CONTEXT, query) for query in range(4)]
    moved = replace(IN_CONTEXT, prompts=tiny.PROMPTS[::-1], lists=[(np.array([2, 0, 1]), tiny.RANKS)] * 4)
    assert [examples.prompt_of(moved, query) for query in range(4)] == orders[::-1]
    seeds = {tuple(examples.prompt_of(replace(IN_CONTEXT, seed=seed), 1)) for seed in range(40)}
    assert len(seeds) == 6  # all orders of three


def test_judged_negatives_are_among_the_documents_only_where_they_are_asked_for():
    weights = examples.list_weights(WITH_NEGATIVE, Item(alpha=1.0))
    whole = examples.batch([(0, 0), (2, 1)], WITH_NEGATIVE, weights)
    assert whole["document_query"].tolist() == [0, 0, 0, 1, 1, 1]
    assert np.array_equal(whole["rank"].numpy(), [2, np.nan, 1, 2, np.nan, 1], equal_nan=True)
    assert whole["query"].tolist() == [0, 2]
    ranked = examples.batch([(0, 0), (2, 1)], WITH_NEGATIVE, weights, negatives=False)
    assert ranked["rank"].tolist() == [2, 1, 2, 1]
    assert 42 in whole["edge_token"]
    assert 42 not in ranked["edge_token"]
    assert "path" not in ranked


def test_a_sequence_longer_than_the_context_is_named_with_its_query():
    ids = ["a", "b", "c", "d"]
    examples.check_length(tiny.LISTS, 10, ids)
    with pytest.raises(UserError, match="query d: prompt and docID have 10 tokens, the model's context 9"):
        examples.check_length(tiny.LISTS, 9, ids)


TOKENIZER = train_tokenizer(["dog cat animal"] * 3, 280)  # "dog" is a token; a prompt starts with <s>
DOCIDS = [[10, 2], [11, 12, 2]]
CATALOGUE = Catalogue(pl.DataFrame({"doc_id": ["x", "y"], "tokens": DOCIDS}), TOKENIZER, trie.build(DOCIDS))


def prompt(**changes):
    templates = {"corpus": "{query}<docid>", "in_context": "{query}{candidates}<docid>", "candidate": "{docid}"}
    return settings.Prompt(**{"regime": "corpus", "query_tokens": 2, "score": "sum"} | templates | changes)


def test_the_longest_sequence_is_one_of_the_splits_or_a_query_that_fills_its_tokens():
    assert examples.longest_sequence([tiny.LISTS], CATALOGUE.tokenizer, prompt()) == 6 + 4  # of the fourth query
    long = prompt(corpus="dog{query}<docid>", query_tokens=20)
    assert examples.longest_sequence([tiny.LISTS, tiny.LISTS], CATALOGUE.tokenizer, long) == 1 + 1 + 20 + 1 + 4
    shown = prompt(regime="in_context", candidate="{docid} dog", query_tokens=20)
    dog = len(TOKENIZER(" dog", add_special_tokens=False)["input_ids"])
    # three candidates of the longest docID, which has an end token behind its three
    assert examples.longest_sequence([IN_CONTEXT], CATALOGUE.tokenizer, shown) == 1 + 20 + 3 * (3 + dog) + 1 + 4


def test_examples_of_queries_fill_the_templates():
    queries = pl.DataFrame({"query_id": ["q"], "text": ["dog cat dog"]})
    qrels = pl.DataFrame({"query_id": ["q", "q"], "doc_id": ["y", "x"], "rank": [1, 2]})
    templates = {"in_context": "{query} cat {candidates}<docid>", "candidate": "cat{docid}<docid>"}
    made = examples.of_queries(queries, qrels, CATALOGUE, prompt(regime="in_context", **templates), seed=4)
    dog, cat = (TOKENIZER(word, add_special_tokens=False)["input_ids"] for word in ("dog", "cat"))
    assert isinstance(made.prompts[0], Prompt)
    assert made.prompts[0].tail == [3]
    assert made.prompts[0].head[: 1 + len(dog) + len(cat)] == [1, *dog, *cat]  # cut behind two tokens
    assert made.candidate == (cat, [3])
    assert packing.docid_tokens(DOCIDS).tokens_DT.tolist() == made.docids.tokens_DT.tolist()
    assert made.lists[0][0].tolist() == [1, 0]
    assert made.seed == 4
    assert examples.of_queries(queries, qrels, CATALOGUE, prompt()).candidate is None
