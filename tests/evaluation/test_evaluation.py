import json

import polars as pl
import pytest

from arrange.data.tables import Dataset
from arrange.evaluation import evaluation, runs

DOCUMENTS = [f"d{number:02}" for number in range(1, 13)]
QRELS = pl.DataFrame(
    [("q1", doc, rank, 100 - rank) for rank, doc in enumerate(DOCUMENTS[:3], 1)] + [("q2", "d05", 1, 1)],
    {"query_id": pl.String, "doc_id": pl.String, "rank": pl.Int32, "gain": pl.Int32},
    orient="row",
)
DATASET = Dataset(
    pl.DataFrame({"query_id": ["q1", "q2"], "text": ["a query", "another"], "split": ["test"] * 2}),
    pl.DataFrame({"doc_id": DOCUMENTS, "text": [f"text {name}" for name in DOCUMENTS]}),
    QRELS,
)
GROUPS = pl.DataFrame({"grouping": ["locale"] * 2, "group": ["us", "jp"], "query_id": ["q1", "q2"]})
BEST = {"q1": DOCUMENTS[:3], "q2": ["d05"]}
SYSTEMS = {"item": {"item-2": 2, "item-1": 1}, "copy": {"copy": 0}, "mute": {"mute": 0}}
RUNS = {"item-2": BEST, "item-1": {"q1": DOCUMENTS[::-1], "q2": ["d05"]}, "copy": BEST, "mute": {}}


@pytest.fixture
def folder(tmp_path):
    for name, lists in RUNS.items():
        rows = [(query, doc, place, -place) for query, docs in lists.items() for place, doc in enumerate(docs, 1)]
        for file in ("run", "judged"):
            runs.write_run(pl.DataFrame(rows, runs.SCHEMA, orient="row"), tmp_path / name / f"{file}.parquet", name)
    return tmp_path


def evaluate(folder, reference="item"):
    return evaluation.evaluate(SYSTEMS, folder, DATASET, GROUPS, QRELS, reference=reference, draws=20, seed=1)


def test_a_system_without_a_single_document_scores_0_in_all_tables(folder):
    results = evaluate(folder)
    assert results.metrics["mute"]["nDCG@10"] == {
        **{"measure": "nDCG@10", "mean": 0.0, "low": 0.0, "high": 0.0, "spread": None, "queries": 2}
    }
    assert results.judged["mute"]["overlap@1"]["mean"] == 0
    assert results.metrics["mute"]["prior"]["mean"] == 0
    assert results.excerpts.filter(system="mute").is_empty()
    assert results.differences.filter(system="mute", measure="hit@1")["queries"].item() == 2


def test_seeds_are_one_system_and_systems_keep_their_order(folder):
    results = evaluate(folder)
    assert list(results.metrics) == list(results.judged) == list(SYSTEMS)
    assert results.per_query.filter(system="item", query_id="q1")["hit@1"].to_list() == [1, 0]
    assert results.metrics["item"]["hit@1"]["mean"] == 0.75
    assert results.metrics["item"]["hit@1"]["spread"] == pytest.approx(0.125**0.5)  # of 1 and 0.5
    assert {"prior", "prior_tau_b"} <= results.metrics["copy"].keys()


def test_groups_have_the_mean_of_their_queries(folder):
    groups = evaluate(folder).groups
    by_locale = groups.filter(system="copy", grouping="locale")
    assert by_locale.select("group", "mean", "queries").rows() == [("jp", 1.0, 1), ("us", 1.0, 1)]
    assert groups.schema == evaluation.GROUPED


def test_queries_are_grouped_by_whether_training_has_seen_their_best_documents(folder):
    rows = [("a", "d01", 1), ("a", "d02", 1), ("a", "d09", 2), ("b", "d02", 1), ("b", "d09", 1), ("c", "d09", 1),
            ("c", "d01", 2), ("c", "d02", None)]  # fmt: skip
    qrels = pl.DataFrame(rows, ["query_id", "doc_id", "rank"], orient="row")
    train = pl.DataFrame([("t", "d01", 1), ("t", "d02", 2), ("t", "d09", None)], qrels.schema, orient="row")
    found = evaluation.seen(qrels, train)
    assert dict(found.select("query_id", "group").rows()) == {"a": "all", "b": "some", "c": "none"}
    groups = evaluation.evaluate(
        SYSTEMS, folder, DATASET, GROUPS, QRELS.filter(query_id="q1"), reference="item", draws=20, seed=1
    ).groups
    of_copy = groups.filter(system="copy", grouping=evaluation.SEEN)
    assert of_copy.select("group", "mean", "queries").rows() == [("all", 1.0, 1), ("none", 1.0, 1)]


def test_no_system_of_the_references_name_is_no_error(folder):
    results = evaluate(folder, "absent")
    assert results.differences.is_empty()
    assert results.excerpts["query_id"].n_unique() == 2
    assert set(evaluate(folder).differences["system"]) == {"copy", "mute"}


def test_excerpts_are_of_the_first_seeds_run_and_of_the_true_lists(folder):
    excerpts = evaluate(folder).excerpts.filter(query_id="q1")
    assert excerpts.filter(pl.col("system").is_null())["document"].to_list() == ["text d01", "text d02", "text d03"]
    of_item = excerpts.filter(system="item")
    assert of_item["document"].to_list() == [f"text {name}" for name in DOCUMENTS[:1:-1]]  # ten of twelve
    assert of_item["rank"].to_list() == [None] * 9 + [3]


def test_queries_are_chosen_by_the_first_seed_of_the_reference():
    rows = [("item", 2, "q1", 0.5), ("item", 1, "q1", 0.25), ("ntp", 0, "q1", 1.0)]
    per_query = pl.DataFrame(rows, ["system", "seed", "query_id", "nDCG@10"], orient="row")
    assert evaluation.quality(per_query, "item").rows() == [("q1", 0.25)]


def test_what_is_written_can_be_read_again(folder, tmp_path):
    results = evaluate(folder)
    results.write(tmp_path / "out")
    assert json.loads((tmp_path / "out/metrics.json").read_text()) == results.metrics
    assert json.loads((tmp_path / "out/judged.json").read_text()) == results.judged
    for name in ("per_query", "differences", "groups", "excerpts"):
        assert pl.read_parquet(tmp_path / "out" / f"{name}.parquet").equals(getattr(results, name))


@pytest.mark.parametrize(
    ("ranks", "left"), [((1, 1, None), ["item"]), ((1, 2, None), ["random", "root_first", "item"])]
)
def test_controls_that_are_given_the_answer_are_left_out_where_any_order_is_perfect(tmp_path, ranks, left):
    rows = [("q1", doc, rank, 0 if rank is None else 3 - rank) for doc, rank in zip(DOCUMENTS, ranks, strict=False)]
    dataset = DATASET._replace(qrels=pl.DataFrame(rows, QRELS.schema, orient="row"))
    run = pl.DataFrame([("q1", "d01", 1, 1.0)], runs.SCHEMA, orient="row")
    systems = {name: {name: 0} for name in ("random", "root_first", "item")}
    for name in systems:
        for file in ("run", "judged"):
            runs.write_run(run, tmp_path / name / f"{file}.parquet", name)
    found = evaluation.evaluate(systems, tmp_path, dataset, GROUPS, QRELS, reference="item", draws=20, seed=1)
    assert list(found.metrics) == left
    assert found.against_bm25.is_empty()  # there is no bm25
