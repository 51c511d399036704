from pathlib import Path

import polars as pl
import yaml
from sections import changed

from arrange.data import augmented, tables
from tasks.augment import augment

DOCUMENTS = pl.DataFrame({"doc_id": ["d", "e", "f"], "text": ["brown dog, small", "brown elk, tall", "red fox, small"]})


def prepared(folder, ranked, split, text):
    """A data set with a training query that has the document `ranked`, and another query."""
    queries = pl.DataFrame({"query_id": ["a", "b"], "text": ["x", text], "split": ["train", split]})
    qrels = pl.DataFrame([("a", ranked, 1, 1), ("b", "f", 1, 1)], tables.SCHEMAS["qrels"], orient="row")
    tables.write(tables.Dataset(queries, DOCUMENTS, qrels), folder)


def test_every_document_gets_examples_whatever_the_queries_outside_of_training_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_STAGE", "augment@wordnet")
    sections = changed(("augment.titles", 0), ("augment.spans", 1), ("augment.seen", 0.5))
    Path("params.yaml").write_text(yaml.safe_dump(sections))
    found = []
    for split, text in (("test", "y"), ("test", "small fox"), ("validation", "small fox")):
        prepared(Path("data/wordnet"), "d", split, text)
        augment("wordnet")
        found.append(Path("augment/wordnet.parquet").read_bytes())
    assert found[0] == found[1] == found[2]
    table = augmented.read(Path("augment/wordnet.parquet"), DOCUMENTS["doc_id"], ["document", "spans", "keywords"])
    assert dict(table.group_by("doc_id").agg(pl.col("weight").sum().round(9)).rows()) == {"d": 0.5, "e": 1.0, "f": 1.0}
    assert table.filter(origin="document")["text"].to_list() == [text.lower() for text in DOCUMENTS["text"]]
    assert {word for text in table.filter(origin="keywords")["text"] for word in text.split()} == {"brown", "small"}


def test_the_round_trip_leaves_out_what_leads_to_another_document(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_STAGE", "augment@wordnet")
    Path("params.yaml").write_text(yaml.safe_dump(changed(("augment.first", 1))))
    prepared(Path("data/wordnet"), "d", "test", "y")
    augment("wordnet")
    titles = pl.read_parquet("augment/wordnet.parquet").filter(origin="keywords")
    assert set(titles.select("doc_id", "text").rows()) <= {("d", "brown small"), ("d", "small brown")}
