from math import log2

import polars as pl
import pytest

from arrange.evaluation.prior import per_query, static_prior
from arrange.evaluation.runs import SCHEMA, check_run

TRAIN = pl.DataFrame(
    [
        ("t1", "cat", 1), ("t1", "animal", 2), ("t2", "dog", 1), ("t2", "animal", 2),
        ("t3", "dog", 1), ("t3", "no", None),
    ],
    schema={"query_id": pl.String, "doc_id": pl.String, "rank": pl.Int32},
    orient="row",
)  # fmt: skip
DOCUMENTS = [f"d{number:02}" for number in range(1, 13)]


def qrels(**lists):
    """Documents of each query by rank; gains fall with the rank."""
    rows = [(query, doc, rank, 100 - rank) for query, docs in lists.items() for rank, doc in enumerate(docs, 1)]
    schema = {"query_id": pl.String, "doc_id": pl.String, "rank": pl.Int32, "gain": pl.Int32}
    return pl.DataFrame(rows, schema, orient="row")


def test_the_static_prior_puts_rarer_documents_first_and_keeps_the_order_of_equals():
    run = pl.DataFrame(
        {
            "query_id": ["a"] * 6 + ["b"] * 2,
            "doc_id": ["dog", "animal", "cat", "unseen", "no", "new", "animal", "cat"],
            "rank": [1, 2, 3, 4, 5, 6, 1, 2],
            "score": [9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 0.5, 0.1],
        },
        schema_overrides={"rank": pl.Int32},
    )
    # true in training: dog and animal twice, cat once, the others never ("no" is a judged negative)
    found = static_prior(run, TRAIN, depth=5)
    check_run(found, "prior")
    assert found["doc_id"].to_list() == ["unseen", "no", "cat", "dog", "animal", "new", "cat", "animal"]
    assert found["score"].to_list() == [-1, -2, -3, -4, -5, -6, -1, -2]
    assert static_prior(run, TRAIN, depth=1).drop("score").equals(run.drop("score"))


def test_the_priors_tau_is_that_of_all_documents_rarest_first_whatever_the_run_says():
    """In training d01 has one query, d12 twelve: q1 has that order, q2 its reverse, so its tau is 1 and -1."""
    train = qrels(**{f"t{number}": DOCUMENTS[number:] for number in range(12)})
    true = qrels(q1=DOCUMENTS, q2=DOCUMENTS[::-1])
    rows = [(query, doc, place, -place) for query in ("q1", "q2") for place, doc in enumerate(DOCUMENTS[::-1], 1)]
    values = per_query(pl.DataFrame(rows, SCHEMA, orient="row"), true, train).sort("query_id")
    assert values["prior_tau_b"].to_list() == pytest.approx([1, -1])
    best, reached = (sum((first - n) / log2(n + 2) for n in range(10)) for first in (99, 97))
    assert values["prior"][0] == pytest.approx(reached / best)  # of the run's first ten alone, which begin with d03


def test_an_empty_run_knows_nothing():
    values = per_query(pl.DataFrame(schema=SCHEMA), qrels(q1=DOCUMENTS), TRAIN)
    assert values.rows() == [("q1", 0.0, 0.0)]
