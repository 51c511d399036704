from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml
from sections import changed

from arrange.baselines import learned
from arrange.baselines.fusion import reciprocal_rank
from arrange.data import tables
from arrange.evaluation import runs
from tasks.fuse import fuse
from tasks.stage import write_validation

SYSTEMS = ("wordnet-item", "wordnet-first")
FIRST = {"data": "wordnet", "systems": ["bm25"], "depth": 9}
FUSION = {"data": "wordnet", "first": SYSTEMS[0], "second": SYSTEMS[1], "learned": True}


def random_run(queries, seed):
    docs = [f"d{number}" for number in range(12)]
    score_N = np.random.default_rng(seed).random(len(queries) * len(docs))
    pairs = [(query, doc) for query in queries for doc in docs]
    table = pl.DataFrame(pairs, ["query_id", "doc_id"], orient="row")
    return runs.from_scores(table.with_columns(score=score_N), depth=9)


@pytest.mark.parametrize("split", ["test", "validation"])
def test_a_learned_fusion_learns_from_the_validation_queries_alone(split, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    entries = [("candidates", {"wordnet-first": FIRST}), ("fusions", {"wordnet-both": FUSION}), ("rank.split", split)]
    Path("params.yaml").write_text(yaml.safe_dump(changed(*entries)))
    names = {"validation": [f"v{number:02}" for number in range(60)], "test": [f"t{number}" for number in range(9)]}
    rows = [(name, name, each) for each, queries in names.items() for name in queries]
    queries = pl.DataFrame(rows, ["query_id", "text", "split"], orient="row")
    documents = pl.DataFrame({"doc_id": [f"d{number}" for number in range(12)], "text": ["dog"] * 12})
    judged = [(query, f"d{int(query[1:]) % 7}", 1, 1) for query in queries["query_id"]]
    qrels = pl.DataFrame(judged, tables.SCHEMAS["qrels"], orient="row")
    tables.write(tables.Dataset(queries, documents, qrels), Path("data/wordnet"), about=tables.About(title="Letters."))
    shown, known = [], []
    for seed, system in enumerate(SYSTEMS):
        shown.append(random_run(names[split], seed))
        known.append(random_run(names["validation"], seed))
        runs.write_runs(Path("runs/wordnet", system), shown[-1], shown[-1])
        write_validation(Path("runs/wordnet", system), known[-1])
    fuse("wordnet-both")
    run, judged_run = runs.read_runs(Path("runs/wordnet/wordnet-both"))
    teachers = qrels.filter(pl.col("query_id").str.starts_with("v"))
    assert run.equals(learned.fused(shown, known, teachers, crossed=split == "validation"))
    assert judged_run.equals(reciprocal_rank(shown))
    assert not run.equals(judged_run)
