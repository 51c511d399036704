"""What a first stage finds, and that the vote of the neighbours doesn't know a training query's answer."""

import polars as pl

from arrange.baselines.controls import kin, neighbours
from arrange.baselines.first_stage import candidates
from arrange.data.tables import Dataset

QUERIES = pl.DataFrame(
    {
        "query_id": ["q1", "q2", "q3", "q4"],
        "split": ["train", "train", "train", "test"],
        "text": ["red dog", "red cat", "red dog barks", "red dog"],
    }
)
DOCUMENTS = pl.DataFrame({"doc_id": ["d1", "d2", "d3"], "text": ["dog", "cat", "animal"]})
QRELS = pl.DataFrame(
    [("q1", "d1", 1), ("q1", "d3", 2), ("q2", "d2", 1), ("q2", "d3", 2), ("q3", "d1", 1), ("q4", "d1", 1)],
    schema={"query_id": pl.String, "doc_id": pl.String, "rank": pl.Int32},
    orient="row",
)
DATASET = Dataset(QUERIES, DOCUMENTS, QRELS)
TRAIN = QUERIES.filter(split="train"), QRELS.filter(pl.col("query_id") != "q4")


def found(run, query):
    return run.filter(query_id=query)["doc_id"].to_list()


def test_a_training_query_votes_for_others_and_not_for_itself():
    voted = {apart: neighbours(*TRAIN, QUERIES, 1, apart=apart) for apart in (None, "query", "best_document")}
    assert found(voted[None], "q1") == ["d1", "d3"]  # its own list
    assert found(voted["query"], "q1") == ["d1"]  # of q3, the nearest other one
    assert found(voted["best_document"], "q1") == ["d2", "d3"]  # q3 has the same best document, so q2 votes
    assert found(voted["best_document"], "q4") == found(voted[None], "q4")  # all may vote for a test query


def test_kin_are_the_queries_that_share_a_best_document():
    pairs = {(query, other) for query, other in kin(TRAIN[1], "best_document").rows()}
    assert pairs == {("q1", "q1"), ("q3", "q3"), ("q1", "q3"), ("q3", "q1"), ("q2", "q2")}
    assert {*kin(TRAIN[1], "query").rows()} == {("q1", "q1"), ("q2", "q2"), ("q3", "q3")}
    assert kin(TRAIN[1], None).is_empty()


def test_as_many_neighbours_vote_though_kin_are_left_out():
    queries = pl.DataFrame({"query_id": list("abcdef"), "text": ["red dog"] * 3 + ["red", "red fox", "red dog fox"]})
    qrels = pl.DataFrame(
        {"query_id": list("abcdef"), "doc_id": ["1", "1", "1", "2", "3", "4"], "rank": [1] * 6},
        schema_overrides={"rank": pl.Int32},
    )
    run = neighbours(queries, qrels, queries, 3, apart="best_document")
    assert {*found(run, "a")} == {"2", "3", "4"}


def test_candidates_are_the_first_documents_of_each_system():
    run = candidates(DATASET, DATASET.queries, ["neighbours", "bm25"], 1, voters=1, apart="query")
    assert found(run, "q4") == ["d1"]  # both find it
    assert {*found(run, "q2")} == {"d1", "d2"}  # the vote's d1, and BM25's d2
    assert run.filter(query_id="q2")["score"].to_list() == [1 / 2, 1 / 2]  # of reciprocal ranks with k 1


def test_training_queries_teach_the_order_and_each_is_ranked_by_what_others_taught():
    """BM25 is right and the vote is wrong: reciprocal ranks put the vote's first, the learned order BM25's."""
    rows = [(f"t{number:02}", "train", f"word{number % 12} other{number % 5}") for number in range(60)]
    rows += [(f"v{number:02}", "test", f"word{number % 12} other{number % 7}") for number in range(12)]
    queries = pl.DataFrame(rows, ["query_id", "split", "text"], orient="row")
    documents = pl.DataFrame({"doc_id": [f"d{n:02}" for n in range(12)], "text": [f"word{n} thing" for n in range(12)]})
    qrels = pl.DataFrame(
        [(query, f"d{int(query[1:]) % 12:02}", 1) for query, *_ in rows], schema=QRELS.schema, orient="row"
    )
    dataset = Dataset(queries, documents, qrels)
    run = candidates(dataset, queries, ["bm25", "neighbours"], 9, voters=5, apart="best_document")
    best = run.filter(rank=1).join(qrels, on=["query_id", "doc_id"], how="semi")
    assert best["query_id"].to_list() == queries["query_id"].sort().to_list()
    of_test = queries.filter(split="test")
    alone = candidates(dataset, of_test, ["bm25", "neighbours"], 9, voters=5, apart="best_document")
    assert alone.equals(run.join(of_test, on="query_id", how="semi"))


def test_a_sentence_encoder_finds_the_nearest_by_cosine(bert):
    folder = bert("encoder")
    run = candidates(DATASET, DATASET.queries, [str(folder)], 3, voters=1, apart="query")
    assert run.group_by("query_id").len()["len"].to_list() == [3] * 4
    assert found(run, "q1") == found(run, "q4")  # the same text
