"""Learning to rank: what the trees read, that they learn an order, and that no training query knows its own list."""

import numpy as np
import polars as pl
import pytest

from arrange.baselines import learned
from arrange.baselines.fusion import reciprocal_rank
from arrange.evaluation.runs import SCHEMA, check_run, from_scores

QRELS = {"query_id": pl.String, "doc_id": pl.String, "rank": pl.Int32}


def run_of(rows):
    return from_scores(pl.DataFrame(rows, ["query_id", "doc_id", "score"], orient="row"), depth=100)


def test_the_features_are_what_each_run_says():
    first = run_of([("q", "a", 3.0), ("q", "b", 1.0), ("r", "a", 2.0)])
    second = run_of([("q", "b", -1.0), ("q", "c", -5.0)])
    table = learned.features([first, second], depth=1)
    assert table.columns[2:] == ["rank_0", "score_0", "best_0", "behind_0", "rank_1", "score_1", "best_1", "behind_1"]
    assert table.rows() == [
        ("q", "a", 1.0, 3.0, 3.0, 0.0, None, None, None, None),
        ("q", "b", None, None, None, None, 1.0, -1.0, -1.0, 0.0),  # rank 2 of the first run is beyond the depth
        ("r", "a", 1.0, 2.0, 2.0, 0.0, None, None, None, None),
    ]
    whole = learned.features([first, second]).filter(query_id="q", doc_id="b")
    assert whole.rows() == [("q", "b", 2.0, 1.0, 3.0, 2.0, 1.0, -1.0, -1.0, 0.0)]


def judged(seed, queries=80, best=20):
    """Two runs of random scores, and qrels whose first documents are those that the second run puts last."""
    generator = np.random.default_rng(seed)
    docs = [f"d{number}" for number in range(best)]
    runs, rows = ([], []), []
    for number in range(queries):
        shown = generator.permutation(docs)[:8]
        for run in runs:
            run.extend((f"q{number:02}", doc, score) for doc, score in zip(shown, generator.random(8), strict=True))
        last_first = sorted(runs[1][-8:], key=lambda row: row[2])
        rows += [(query, doc, rank) for rank, (query, doc, _) in enumerate(last_first[:3], 1)]
    return [run_of(run) for run in runs], pl.DataFrame(rows, QRELS, orient="row")


def test_the_trees_learn_which_run_to_follow_and_how():
    known, qrels = judged(1)
    found, truth = judged(2)
    run = learned.fused(found, known, qrels, crossed=False)
    check_run(run, "learned")
    first = run.filter(rank=1).join(truth, on=["query_id", "doc_id"], how="left")
    assert (first["rank_right"] == 1).sum() >= 72  # of 80; by reciprocal ranks hardly any
    fused = reciprocal_rank(found, k=1).filter(rank=1).join(truth, on=["query_id", "doc_id"], how="left")
    assert (fused["rank_right"] == 1).sum() <= 8


def test_no_query_is_ranked_by_trees_that_know_the_list_of_a_query_with_its_best_document():
    found, qrels = judged(3)
    table = learned.features(found)
    group = dict(learned.groups(table, qrels).iter_rows())
    kin = [query for query in group if group[query] == group["q00"]]
    assert len(kin) > 1
    mine = pl.col("query_id").is_in(kin)
    turned = qrels.with_columns(pl.when(mine & (pl.col("rank") > 1)).then(None).otherwise("rank").alias("rank"))
    before, after = (learned.cross_fitted(table, each).filter(mine) for each in (qrels, turned))
    assert before.equals(after)  # their lists are others, and their ranking is the same
    knowing, other = (
        learned.ordered(learned.learn(table, each), table, found).filter(mine) for each in (qrels, turned)
    )
    assert not knowing.equals(other)  # the trees that know them rank them otherwise


def test_too_few_queries_teach_nothing():
    known, qrels = judged(4, queries=learned.FEWEST - 1)
    assert learned.fused(known, known, qrels, crossed=False).equals(reciprocal_rank(known, k=1))
    known, qrels = judged(4, queries=60, best=8)
    same = qrels.with_columns(doc_id=pl.when(pl.col("rank") == 1).then(pl.lit("d0")).otherwise("doc_id"))
    assert not learned.enough(learned.features(known), same)  # all have one best document: no fold can be apart


@pytest.mark.parametrize("empty", [0, 1])
def test_a_run_without_documents_says_nothing(empty):
    known, qrels = judged(5)
    known[empty] = known[empty].clear()
    run = learned.fused(known, known, qrels, crossed=False)
    assert (run.schema, run["query_id"].n_unique()) == (SCHEMA, 80)
