from math import log2
from pathlib import Path

import polars as pl
import pytest

from arrange.data.tables import Dataset
from arrange.evaluation import runs
from tasks import evaluate

DOCUMENTS = [f"d{number:02}" for number in range(1, 13)]
HOW = {"draws": 20, "seed": 1}


def qrels(**lists):
    """Documents of each query by rank; gains fall with the rank."""
    rows = [(query, doc, rank, 100 - rank) for query, docs in lists.items() for rank, doc in enumerate(docs, 1)]
    schema = {"query_id": pl.String, "doc_id": pl.String, "rank": pl.Int32, "gain": pl.Int32}
    return pl.DataFrame(rows, schema, orient="row")


def write_run(name, **lists):
    rows = [(query, doc, place, -place) for query, docs in lists.items() for place, doc in enumerate(docs, 1)]
    runs.write_run(pl.DataFrame(rows, runs.SCHEMA, orient="row"), Path("runs/zoo", name, "run.parquet"), name)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_priors_tau_is_that_of_all_documents_rarest_first_whatever_the_run_says():
    """In training d01 has one query, d12 twelve: q1 has that order, q2 its reverse, so its tau is 1 and -1."""
    train = qrels(**{f"t{number}": DOCUMENTS[number:] for number in range(12)})
    true = qrels(q1=DOCUMENTS, q2=DOCUMENTS[::-1])
    write_run("item", q1=DOCUMENTS[::-1], q2=DOCUMENTS[::-1])
    clusters = pl.DataFrame({"query_id": ["q1", "q2"], "cluster": ["a", "b"]})
    both = evaluate.with_prior("zoo", {"item": 0}, true, train, clusters, HOW)
    assert both["prior_tau_b"]["mean"] == pytest.approx(0)
    assert (both["prior_tau_b"]["low"], both["prior_tau_b"]["high"]) == pytest.approx((-1, 1))
    one = evaluate.with_prior("zoo", {"item": 0}, true.filter(pl.col("query_id") == "q1"), train, clusters, HOW)
    assert one["prior_tau_b"]["mean"] == pytest.approx(1)
    best, found = (sum((first - n) / log2(n + 2) for n in range(10)) for first in (99, 97))
    assert one["prior"]["mean"] == pytest.approx(found / best)  # of the run's first ten alone, which begin with d03


def test_excerpts_are_of_the_first_seeds_run_and_of_the_true_lists():
    documents = pl.DataFrame({"doc_id": DOCUMENTS, "text": [f"text {name}" for name in DOCUMENTS]})
    queries = pl.DataFrame({"query_id": ["q1"], "text": ["a query"], "split": ["test"]})
    write_run("item-2", q1=DOCUMENTS)
    write_run("item-1", q1=DOCUMENTS[::-1])
    dataset = Dataset(queries, documents, qrels(q1=DOCUMENTS[:3]))
    found = evaluate.shown("zoo", {"item": {"item-2": 2, "item-1": 1}}, dataset, ["q1"])
    assert found.filter(pl.col("system").is_null())["document"].to_list() == ["text d01", "text d02", "text d03"]
    of_item = found.filter(pl.col("system") == "item")
    assert of_item["document"].to_list() == [f"text {name}" for name in DOCUMENTS[:1:-1]]  # ten of twelve
    assert of_item["rank"].to_list() == [None] * 9 + [3]


def test_queries_are_chosen_by_the_first_seed_of_the_reference():
    rows = [("item", 2, "q1", 0.5), ("item", 1, "q1", 0.25), ("ntp", 0, "q1", 1.0)]
    per_query = pl.DataFrame(rows, ["system", "seed", "query_id", "nDCG@10"], orient="row")
    assert evaluate.quality(per_query, "item").rows() == [("q1", 0.25)]
