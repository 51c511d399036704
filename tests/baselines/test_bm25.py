from math import log

import polars as pl
import pytest

from arrange.baselines import bm25
from arrange.evaluation.runs import check_run

DOCUMENTS = pl.DataFrame(
    {
        "doc_id": ["d1", "d2", "d3", "d4", "q2"],
        "text": ["Red dog", "dog dog house", "a blue cat in the house", "fish", "dog red"],
    }
)
QUERIES = pl.DataFrame({"query_id": ["q1", "q2", "q3"], "text": ["a red DOG, the dog", "dog red", "unheard"]})
WORDS = {"d1": ["red", "dog"], "d2": ["dog", "dog", "house"], "d3": ["blue", "cat", "house"], "d4": ["fish"]}
WORDS["q2"] = ["dog", "red"]


def by_hand(query, document, k1, b):
    """Lucene's BM25, written out."""
    mean = sum(map(len, WORDS.values())) / len(WORDS)
    total = 0.0
    for word in query:
        df = sum(word in words for words in WORDS.values())
        tf = WORDS[document].count(word)
        idf = log(1 + (len(WORDS) - df + 0.5) / (df + 0.5))
        total += idf * tf / (tf + k1 * (1 - b + b * len(WORDS[document]) / mean))
    return total


@pytest.mark.parametrize(("k1", "b"), [(1.5, 0.75), (0.9, 0.4)])
def test_scores_are_those_of_the_formula(k1, b):
    run = bm25.Index(DOCUMENTS, k1=k1, b=b).search(QUERIES)
    check_run(run, "bm25")
    query = ["red", "dog", "dog"]
    scores = {doc_id: by_hand(query, doc_id, k1, b) for doc_id in ("d1", "q2", "d2")}
    assert run.filter(pl.col("query_id") == "q1").rows() == [
        ("q1", doc_id, place + 1, pytest.approx(score, rel=1e-5))
        for place, (doc_id, score) in enumerate(scores.items())  # d1 and q2 tie: doc_id decides
    ]


def test_a_document_of_the_querys_id_is_ranked_and_what_shares_no_word_is_not_there():
    run = bm25.search(QUERIES, DOCUMENTS)
    assert sorted(run.filter(pl.col("query_id") == "q2")["doc_id"]) == ["d1", "d2", "q2"]
    assert "q3" not in run["query_id"]
    assert bm25.search(QUERIES, DOCUMENTS, depth=1)["query_id"].to_list() == ["q1", "q2"]


def test_all_candidates_are_ranked_and_no_other():
    candidates = pl.DataFrame({"query_id": ["q1"] * 3 + ["q3"], "doc_id": ["d4", "d2", "d3", "d1"]})
    run = bm25.search(QUERIES, DOCUMENTS, candidates=candidates)
    dog = by_hand(["dog", "dog"], "d2", 1.5, 0.75)
    assert run.rows() == [
        ("q1", "d2", 1, pytest.approx(dog, rel=1e-5)),
        ("q1", "d3", 2, 0.0),
        ("q1", "d4", 3, 0.0),
        ("q3", "d1", 1, 0.0),
    ]


def test_documents_without_words_give_an_empty_run_and_a_note(caplog):
    wordless = DOCUMENTS.with_columns(text=pl.lit("a . the"))
    run = bm25.search(QUERIES, wordless)
    check_run(run, "bm25")
    assert run.is_empty()
    assert "no document has a word" in caplog.text
    candidates = pl.DataFrame({"query_id": ["q1", "q1"], "doc_id": ["d4", "d2"]})
    assert bm25.search(QUERIES, wordless, candidates=candidates).rows() == [("q1", "d2", 1, 0.0), ("q1", "d4", 2, 0.0)]


def test_of_chinese_and_japanese_every_character_is_a_word():
    documents = pl.DataFrame({"doc_id": ["shoe", "dress"], "text": ["赤い靴 ブランド", "青いドレス"]})
    queries = pl.DataFrame({"query_id": ["q"], "text": ["靴"]})
    assert bm25.search(queries, documents)["doc_id"].to_list() == ["shoe"]
