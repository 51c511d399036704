"""The oracles of docs/ceilings.py, worked by hand on one test query with the documents a, b, c in this order."""

import polars as pl

from docs.ceilings import best_order, ceilings


def ranked(lists):
    rows = [(query, doc, rank, 12 // rank) for query, docs in lists.items() for rank, doc in enumerate(docs, start=1)]
    schema = {"query_id": pl.String, "doc_id": pl.String, "rank": pl.Int32, "gain": pl.Int64}
    return pl.DataFrame(rows, schema, orient="row")


TEST = ranked({"q": "abc"})


def order(run):
    return "".join(run.sort("rank")["doc_id"])


def test_each_oracle_knows_the_truth_but_for_one_thing():
    # gains 12, 6, 4: "xbc" has 6 / log2(3) + 4 / 2 = 5.8, "c" has 4, the third list has its a in place 11
    train = ranked({"one": "c", "two": "xbc", "three": "xyzuvwrstp" + "a"})
    runs = [order(run) for run in ceilings(train, TEST).values()]
    assert runs == ["abc", "c", "bca", "xbc"]


def test_the_best_order_of_a_run_has_its_true_documents_alone():
    run = ranked({"q": "xcba", "other": "abc"}).drop("gain")
    assert order(best_order(run, TEST, 2)) == "c"
    assert order(best_order(run, TEST, 4)) == "abc"
