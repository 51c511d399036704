"""Reranking against each docID's log-probability in the plain pass."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import tiny
import torch

from arrange.decoding.rerank import rerank
from arrange.docids.catalogue import Catalogue
from arrange.docids.tokens import train_tokenizer
from arrange.docids.trie import build
from arrange.errors import UserError
from arrange.evaluation.runs import SCHEMA, check_run
from arrange.models.ranker import from_scratch
from arrange.training import examples, unpacked
from arrange.training.settings import Prompt

TEXTS = ["red", "a red dog", "blue", "a dog"]
QUERIES = pl.DataFrame({"query_id": ["a", "b", "c", "d"], "text": TEXTS})
TOKENIZER = train_tokenizer(TEXTS, 300)
DOC_IDS = [f"d{n}" for n in range(9)]
DOCIDS = [[40 + n % 2, 43 + n % 3, *range(50, 50 + n % 4), 60 + n, 2] for n in range(9)]
CATALOGUE = Catalogue(pl.DataFrame({"doc_id": DOC_IDS, "tokens": DOCIDS}), TOKENIZER, build(DOCIDS))
FOUND = {"a": [3, 1, 8, 0, 5], "c": [7, 2], "d": [4, 6, 0, 1, 2, 3]}  # nothing for b
FIRST = pl.DataFrame(
    [(q, DOC_IDS[row], n, -float(n)) for q, rows in FOUND.items() for n, row in enumerate(rows, 1)],
    SCHEMA,
    orient="row",
)
CORPUS = Prompt(
    regime="corpus",
    corpus="{query}<docid>",
    in_context="{query}{candidates}<docid>",
    candidate="{docid}",
    query_tokens=9,
    score="sum",
)
CONTEXT = {"corpus": CORPUS, "in_context": replace(CORPUS, regime="in_context")}


@pytest.fixture(scope="module")
def model():
    return from_scratch(tiny.SHAPE, TOKENIZER, 64, seed=0)


def reranked(model, regime="corpus", first=FIRST, **options):
    given = {"source": "first.trec", "depth": 4, "seed": 1, "normaliser": "vocabulary"} | options
    return rerank(model, QUERIES, first, CATALOGUE, CONTEXT[regime], **given)


@pytest.mark.parametrize("regime", CONTEXT)
def test_the_first_documents_are_scored_exactly_and_no_others(model, regime):
    done = []
    run = reranked(model, regime, progress=done.append)
    check_run(run, "run")
    assert done == [1, 2, 3]
    asked = QUERIES.filter(pl.col("query_id").is_in([*FOUND]))
    unjudged = FIRST.filter(pl.col("rank") <= 4).select("query_id", "doc_id", rank=pl.lit(None, pl.Int32))
    of_queries = examples.of_queries(asked, unjudged, CATALOGUE, CONTEXT[regime], 1)
    for place, (query, rows) in enumerate(FOUND.items()):
        prompt = examples.prompt_of(of_queries, place)
        with torch.no_grad():
            truth = unpacked.document_log_probabilities(model.eval(), prompt, [DOCIDS[row] for row in rows[:4]]).numpy()
        part = run.filter(query_id=query)
        assert part["doc_id"].to_list() == [DOC_IDS[rows[n]] for n in np.argsort(-truth)]
        assert part["score"].to_list() == pytest.approx(sorted(truth, reverse=True), abs=1e-5)
    assert "b" not in run["query_id"]


def test_a_query_is_ranked_alike_whatever_others_are_there(model):
    alone = reranked(model, first=FIRST.filter(query_id="c"))
    assert alone.equals(reranked(model).filter(query_id="c"))


def test_too_many_candidates_for_the_prompt_are_told_by_the_depth():
    short = from_scratch(tiny.SHAPE, TOKENIZER, 30, seed=0)
    reranked(short, "in_context", depth=2)
    with pytest.raises(UserError, match=r"query d: .* tokens, the model's context 30\n.*depth is 6"):
        reranked(short, "in_context", depth=6, first=FIRST.filter(query_id="d"))


def test_a_run_of_other_queries_or_documents_is_told_and_an_empty_one_is_ranked(model):
    with pytest.raises(UserError, match=r"first\.trec: none of the queries .* 'elsewhere'"):
        reranked(model, first=FIRST.with_columns(query_id=pl.lit("elsewhere")).head(1))
    with pytest.raises(UserError, match=r"first\.trec: 1 documents .* 'other' of query 'c'"):
        reranked(model, first=FIRST.with_columns(pl.col("doc_id").replace("d7", "other")))
    assert reranked(model, first=FIRST.clear()).equals(FIRST.clear())
