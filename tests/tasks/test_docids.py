import json
from pathlib import Path

import polars as pl
import yaml
from checkout import SHAPE
from sections import changed

from arrange.base_models.prepare import prepare
from arrange.base_models.settings import Scratch
from arrange.data import tables
from arrange.docids.catalogue import open_catalogue
from tasks.docids import docids


def test_documents_that_begin_alike_get_short_docids_and_the_statistics_count_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = ("docids.vocabulary_size", 300)
    Path("params.yaml").write_text(yaml.safe_dump(changed(small)))
    prepare(Scratch(shape=SHAPE), Path("base_models/scratch"))
    alike = " ".join(["word"] * 300)
    texts = [*(f"{alike} end{row}" for row in range(5)), alike, alike, "a short one"]
    documents = pl.DataFrame({"doc_id": [f"d{row}" for row in range(8)], "text": texts})
    queries = pl.DataFrame({"query_id": ["q"], "text": ["which one"], "split": ["train"]})
    qrels = pl.DataFrame([("q", "d0", 1, 1)], tables.SCHEMAS["qrels"], orient="row")
    about = tables.About(title="Eight texts.", labels={1: "good"})
    tables.write(tables.Dataset(queries, documents, qrels), Path("data/wordnet"), about=about)
    docids("wordnet-text")
    statistics = json.loads(Path("docids/wordnet-text/statistics.json").read_text())
    assert (statistics["over_bound"], statistics["suffixed"], statistics["collisions"]) == (7, 1, 1)
    assert statistics["max_depth"] <= 16
    names = open_catalogue(Path("docids/wordnet-text")).docids["docid"].to_list()
    assert names[:5] == [f"end{row}" for row in range(5)]
    assert names[6] == f"{names[5]} (2)"
    assert names[7] == "a short one"
