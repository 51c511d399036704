"""TopDocuments in both regimes, against log-probabilities of the plain pass."""

from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch

from arrange.decoding import rank
from arrange.docids import trie
from arrange.errors import UserError
from arrange.training import examples, unpacked

IN_CONTEXT = replace(tiny.LISTS, candidate=([5], [6]), seed=3)
IDS = ["a", "b", "c", "d"], ["x", "y", "z"]
HOW = {"beams": 3, "batch_size": 3, "score": "sum", "normaliser": "vocabulary"}


def expected(model, lists, query, score):
    """Documents and scores, best first, each docID in a sequence of its own."""
    with torch.no_grad():
        prompt = examples.prompt_of(lists, query)
        scores_D = unpacked.document_log_probabilities(model.eval(), prompt, tiny.DOCIDS).numpy()
    if score == "mean":
        scores_D = scores_D / [len(docid) for docid in tiny.DOCIDS]
    return [(int(row), scores_D[row]) for row in np.argsort(-scores_D)]


@pytest.mark.parametrize("score", ["sum", "mean"])
def test_candidates_are_scored_in_full(score):
    model, done = tiny.ranker(), []
    found = rank.rank_lists(model, IN_CONTEXT, 3, score, done.append)
    assert done == [3, 4]
    for query, ranking in enumerate(found):
        truth = expected(model, IN_CONTEXT, query, score)
        assert [row for row, _ in ranking] == [row for row, _ in truth]
        assert [value for _, value in ranking] == pytest.approx([value for _, value in truth], abs=1e-5)


def test_both_regimes_give_runs_of_the_same_form_and_the_same_scores_for_the_same_prompts():
    model, catalogue = tiny.ranker(), trie.build(tiny.DOCIDS)
    corpus = rank.rank(model, tiny.LISTS, catalogue, *IDS, **HOW)
    lists = rank.rank_lists(model, tiny.LISTS, 4)  # the same prompts: the list is the whole catalogue
    assert corpus["query_id"].to_list() == [query for query in IDS[0] for _ in range(3)]
    assert corpus["score"].to_list() == pytest.approx([score for ranking in lists for _, score in ranking], abs=1e-5)
    in_context = rank.rank(model, IN_CONTEXT, catalogue, *IDS, **HOW)
    assert in_context.schema == corpus.schema
    assert in_context["score"].to_list() != pytest.approx(corpus["score"].to_list(), abs=1e-3)


def test_the_common_loss_is_the_weighted_mean_of_the_lists_log_probabilities():
    model = tiny.ranker()
    losses = []
    for query in range(4):
        scores = dict(expected(model, tiny.LISTS, query, "sum"))
        losses.append(-(scores[0] + scores[1] / 2 + scores[2] / 3) / (1 + 1 / 2 + 1 / 3))
    assert rank.common_loss(model, tiny.LISTS, 3) == pytest.approx(np.mean(losses), abs=1e-5)


@pytest.mark.parametrize("lists", [tiny.LISTS, IN_CONTEXT], ids=["corpus", "in context"])
def test_scores_that_are_no_numbers_are_told_with_the_model(lists):
    model = tiny.ranker()
    model.config._name_or_path = model.name_or_path = "models/item"
    with torch.no_grad():
        model.model.norm.weight[0] = torch.nan
    with pytest.raises(
        UserError, match=r"query a: models/item gives scores that are no numbers \(nan\)\n.*learning rate"
    ):
        rank.rank(model, lists, trie.build(tiny.DOCIDS), *IDS, **HOW)


def test_a_query_that_the_context_does_not_hold_is_told_before_the_work():
    model, done = tiny.ranker(), []
    model.config.max_position_embeddings = 9
    with pytest.raises(UserError, match="query d: prompt and docID have 10 tokens, the model's context 9"):
        rank.rank(model, tiny.LISTS, trie.build(tiny.DOCIDS), *IDS, **HOW, progress=done.append)
    assert done == []
