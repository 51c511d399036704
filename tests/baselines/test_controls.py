from math import log, sqrt

import polars as pl
import pytest

from arrange.baselines import bm25
from arrange.baselines.controls import control_runs, neighbours, popularity, random_order, root_first
from arrange.baselines.settings import Controls
from arrange.data.tables import Dataset
from arrange.errors import UserError
from arrange.evaluation.runs import check_run

QRELS = pl.DataFrame(
    [
        ("t1", "cat", 1), ("t1", "animal", 2), ("t2", "dog", 1), ("t2", "animal", 2),
        ("t3", "dog", 1), ("t3", "no", None),
    ],
    schema={"query_id": pl.String, "doc_id": pl.String, "rank": pl.Int32},
    orient="row",
)  # fmt: skip
TRAIN = pl.DataFrame({"query_id": ["t1", "t2", "t3"], "text": ["tabby", "poodle", "poodle terrier"]})
QUERIES = pl.DataFrame({"query_id": ["animal", "q"], "text": ["poodle", "wholly unseen words"]})


def test_random_order_holds_the_true_documents_in_an_order_of_the_seed():
    many = pl.DataFrame(
        {"query_id": [f"q{i // 6}" for i in range(600)], "doc_id": [f"d{i % 6}" for i in range(600)]}
    ).with_columns(rank=pl.int_range(pl.len()).mod(6).cast(pl.Int32) + 1)
    a, b, c = (random_order(many, seed) for seed in (0, 0, 1))
    check_run(a, "random")
    assert a.equals(b)
    assert not a.equals(c)
    assert a.select("query_id", "doc_id").sort(pl.all()).equals(many.select("query_id", "doc_id").sort(pl.all()))
    first = a.filter(pl.col("rank") == 1)["doc_id"].value_counts()["count"]
    assert first.min() > 5  # 100 queries, 6 documents: 16.7 each on average, standard deviation 3.7
    assert "no" not in random_order(QRELS, 0)["doc_id"].to_list()


def test_popularity_counts_training_queries():
    run = popularity(QRELS, QUERIES, depth=2)
    check_run(run, "popularity")
    assert run.rows() == [
        ("animal", "animal", 1, 2.0),
        ("animal", "dog", 2, 2.0),
        ("q", "animal", 1, 2.0),
        ("q", "dog", 2, 2.0),
    ]


def test_neighbours_vote_with_similarity_over_rank():
    run = neighbours(TRAIN, QRELS, QUERIES, k=2)
    check_run(run, "neighbours")
    # idf = ln((1 + n) / (1 + df)) + 1 over the three training texts: poodle in two, terrier in one
    poodle, terrier = log(4 / 3) + 1, log(4 / 2) + 1
    cosine = poodle / sqrt(poodle**2 + terrier**2)
    assert run.rows() == [("animal", "dog", 1, pytest.approx(1 + cosine)), ("animal", "animal", 2, pytest.approx(0.5))]


def test_of_chinese_and_japanese_every_character_is_a_word():
    train = pl.DataFrame({"query_id": ["t1", "t2"], "text": ["赤い靴", "青いドレス"]})
    qrels = pl.DataFrame({"query_id": ["t1", "t2"], "doc_id": ["shoe", "dress"], "rank": [1, 1]})
    queries = pl.DataFrame({"query_id": ["q"], "text": ["赤靴"]})
    assert neighbours(train, qrels, queries, k=2)["doc_id"].to_list() == ["shoe"]


def test_queries_without_a_word_are_told():
    with pytest.raises(UserError, match="no training query has a word"):
        neighbours(TRAIN.with_columns(text=pl.lit("a !")), QRELS, QUERIES)


def test_k_limits_the_votes_and_may_exceed_the_training_queries():
    queries = QUERIES.with_columns(query_id=pl.lit("x") + pl.col("query_id"))
    one = neighbours(TRAIN, QRELS, queries, k=1)
    assert one.rows() == [
        ("xanimal", "dog", 1, pytest.approx(1)),
        ("xanimal", "animal", 2, pytest.approx(1 / 2)),
    ]
    assert set(neighbours(TRAIN, QRELS, queries, k=50)["doc_id"]) == {"dog", "animal"}


def test_one_neighbour_copies_its_list_in_order():
    """13 documents, ranks with ties: the run has them all, in the order of the ranks."""
    ranks = [1, 2, 2, 3, 4, 5, 6, 7, 8, 8, 9, 10, 11]
    names = ["m", "c", "x", "k", "a", "z", "b", "y", "d", "w", "e", "v", "f"]
    lists = pl.DataFrame({"query_id": "t2", "doc_id": names, "rank": ranks}, schema_overrides={"rank": pl.Int32})
    run = neighbours(TRAIN, pl.concat([QRELS.filter(pl.col("query_id") != "t2"), lists]), QUERIES, k=1)
    assert run["doc_id"].to_list() == names


def test_root_first_turns_the_true_order_round():
    run = root_first(QRELS)
    check_run(run, "root_first")
    assert run.rows() == [("t1", "animal", 1, 2.0), ("t1", "cat", 2, 1.0), ("t2", "animal", 1, 2.0),
                          ("t2", "dog", 2, 1.0), ("t3", "dog", 1, 1.0)]  # fmt: skip


def test_controls_rank_all_candidates_and_no_other():
    candidates = pl.DataFrame({"query_id": ["q", "animal", "animal", "q"], "doc_id": ["no", "dog", "new", "cat"]})
    assert popularity(QRELS, QUERIES, candidates=candidates).rows() == [
        ("animal", "dog", 1, 2.0), ("animal", "new", 2, 0.0), ("q", "cat", 1, 1.0), ("q", "no", 2, 0.0),
    ]  # fmt: skip
    votes = neighbours(TRAIN, QRELS, QUERIES, k=1, candidates=candidates)
    assert votes.rows() == [
        ("animal", "dog", 1, pytest.approx(1)), ("animal", "new", 2, 0.0), ("q", "cat", 1, 0.0), ("q", "no", 2, 0.0),
    ]  # fmt: skip


def test_all_controls_over_all_documents_and_over_the_judged_ones():
    documents = pl.DataFrame(
        {"doc_id": ["cat", "dog", "animal", "no"], "text": ["tabby cat", "poodle", "beast", "none"]}
    )
    judged = pl.DataFrame(
        {"query_id": ["q", "q"], "doc_id": ["dog", "no"], "rank": [1, None]}, schema_overrides={"rank": pl.Int32}
    )
    queries = pl.DataFrame({"query_id": ["q"], "text": ["poodle"]})
    train, ranked = Dataset(TRAIN, documents, QRELS), Dataset(queries, documents, judged)
    settings = Controls(seed=1, neighbours=2)
    over_all = control_runs(train, ranked, settings, candidates=None)
    among = control_runs(train, ranked, settings, candidates=judged)
    assert list(over_all) == list(among) == ["random", "root_first", "copy", "neighbours", "popularity", "bm25"]
    for name, run in (*over_all.items(), *among.items()):
        check_run(run, name)
    assert over_all["copy"].equals(neighbours(TRAIN, QRELS, queries, 1))
    assert over_all["bm25"].equals(bm25.search(queries, documents))
    assert over_all["random"]["doc_id"].to_list() == ["dog"]
    for name in ("random", "copy", "neighbours", "popularity", "bm25"):
        assert sorted(among[name]["doc_id"]) == ["dog", "no"]
