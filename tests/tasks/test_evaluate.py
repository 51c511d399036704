import json
from pathlib import Path

import polars as pl
import yaml
from sections import changed

from arrange.data import tables
from arrange.evaluation import runs
from settings.sections import CONTROLS
from tasks.evaluate import evaluate

RANKERS = {
    f"wordnet-item-{seed}": {"data": "wordnet", "docids": "text", "loss": "item", "seed": seed} for seed in (1, 2)
}


def test_a_data_set_is_measured_from_its_files_alone(tmp_path, monkeypatch):
    """Two queries to train on and one to test: the systems are the rankers, whose seeds are one, and the controls."""
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(yaml.safe_dump(changed(("rankers", RANKERS), ("evaluate.resamples", 20))))
    queries = pl.DataFrame({"query_id": ["a", "b", "c"], "text": ["x", "y", "z"], "split": ["train", "train", "test"]})
    documents = pl.DataFrame({"doc_id": ["d", "e"], "text": ["dog", "elk"]})
    rows = [(query, doc, rank, 3 - rank) for query in "abc" for rank, doc in enumerate("de", 1)]
    qrels = pl.DataFrame(rows, tables.SCHEMAS["qrels"], orient="row")
    about = tables.About(title="Three letters.", labels={2: "good"})
    tables.write(tables.Dataset(queries, documents, qrels), Path("data/wordnet"), about=about)
    run = pl.DataFrame([("c", "e", 1, 2.0), ("c", "d", 2, 1.0)], runs.SCHEMA, orient="row")
    for name in (*RANKERS, *CONTROLS):
        for file in ("run", "judged"):
            runs.write_run(run, Path("runs/wordnet", name, f"{file}.parquet"), name)
    evaluate("wordnet")
    metrics = json.loads(Path("results/wordnet/metrics.json").read_text())
    assert list(metrics) == ["item", *CONTROLS]
    assert metrics["item"]["tau_b"]["mean"] == -1
    assert pl.read_parquet("results/wordnet/per_query.parquet").filter(system="item")["seed"].to_list() == [1, 2]
    shown = json.loads(Path("results/wordnet/coverage.json").read_text())
    assert shown == {
        **{"queries": {"train": 2, "validation": 0, "test": 1}, "documents": 2, "named": 1.0, "unseen": 0.0},
        "split": "test",
    }
    against = pl.read_parquet("results/wordnet/against_bm25.parquet").filter(measure="nDCG@10")
    assert against["system"].to_list() == ["item", *CONTROLS[:-1]]
    assert set(against["difference"]) == {0.0}
    assert tables.read_about(Path("results/wordnet")) == tables.read_about(Path("data/wordnet"))
