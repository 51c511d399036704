"""Data sets of a hub, in the layout that retrieval data sets have there, and saved ones."""

import json

import datasets
import hub_server
import polars as pl
import pytest

from arrange.data.folder import tables
from arrange.data.hub import folder_of
from arrange.errors import UserError

CARD = """---
configs:
- config_name: default
  data_files:
  - {split: train, path: qrels/train.jsonl}
  - {split: test, path: qrels/test.jsonl}
- config_name: corpus
  data_files:
  - {split: corpus, path: corpus.jsonl}
- config_name: queries
  data_files:
  - {split: queries, path: queries.jsonl}
---
"""
DOCUMENTS = [{"_id": f"d{n}", "title": f"title {n}", "text": f"text {n}"} for n in range(3)]
QUERIES = [{"_id": f"q{n}", "text": f"query {n}"} for n in range(30)]
QRELS = [{"query-id": f"q{n}", "corpus-id": f"d{n % 3}", "score": 1.0 + n % 2} for n in range(30)]


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


FILES = {
    "README.md": CARD.encode(),
    "corpus.jsonl": lines(DOCUMENTS),
    "queries.jsonl": lines(QUERIES),
    "qrels/train.jsonl": lines(QRELS[:25]),
    "qrels/test.jsonl": lines(QRELS[25:]),
    "small.py": b"raise SystemExit('code of a repository is never run')",
}


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with hub_server.running() as hub:
        hub_server.use(hub, monkeypatch, tmp_path / "cache")
        yield hub


def check(folder):
    dataset, _ = tables(folder, validation=0.2, test=0.1)
    assert dataset.documents.rows() == [(f"d{n}", f"title {n} text {n}") for n in range(3)]
    assert dataset.queries.filter(split="test")["query_id"].to_list() == [f"q{n}" for n in range(25, 30)]
    gains = dict(dataset.qrels.select("query_id", "gain").iter_rows())
    assert gains == {f"q{n}": 1 + n % 2 for n in range(30)}


def test_a_data_set_of_the_hub_is_read_with_its_folds_also_without_the_hub(hub, tmp_path, monkeypatch):
    hub.add("datasets/mteb/small", FILES)
    folder = folder_of("hf://datasets/mteb/small", tmp_path / "raw")
    assert folder == tmp_path / "raw" / "mteb_small"
    check(folder)
    assert not [path for _, path in hub.asked if path.endswith(".py")]
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    folder_of("hf://datasets/mteb/small", tmp_path / "raw")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first  # so that nothing runs again
    with pytest.raises(UserError, match=r"data set 'mteb/other' of the hub: it is not in the local cache.*\nunset"):
        folder_of("hf://datasets/mteb/other", tmp_path / "raw")


def test_a_revision_is_what_it_was(hub, tmp_path):
    revision = hub.add("datasets/mteb/small", FILES)
    hub.add("datasets/mteb/small", FILES | {"corpus.jsonl": lines(DOCUMENTS[:1])})
    check(folder_of(f"hf://datasets/mteb/small@{revision}", tmp_path / "raw"))
    newest = folder_of("hf://datasets/mteb/small", tmp_path / "raw")
    assert pl.read_parquet(newest / "documents.parquet").height == 1


def test_a_data_set_without_a_table_is_told_and_leaves_no_folder(hub, tmp_path):
    hub.add("datasets/mteb/small", {"data.jsonl": lines(DOCUMENTS)})
    with pytest.raises(UserError, match="there are no documents: it has default\ncall one documents or corpus or coll"):
        folder_of("hf://datasets/mteb/small", tmp_path / "raw")
    assert not (tmp_path / "raw" / "mteb_small").exists()


@pytest.mark.parametrize("together", [True, False])
def test_saved_data_sets_are_read(tmp_path, together):
    saved = {name: datasets.Dataset.from_list(rows) for name, rows in (("corpus", DOCUMENTS), ("queries", QUERIES))}
    folds = {"train": datasets.Dataset.from_list(QRELS[:25]), "test": datasets.Dataset.from_list(QRELS[25:])}
    if together:
        datasets.DatasetDict(saved).save_to_disk(tmp_path / "mine")
    else:
        for name, rows in saved.items():
            rows.save_to_disk(tmp_path / "mine" / name)
    datasets.DatasetDict(folds).save_to_disk(tmp_path / "mine" / "qrels")
    check(folder_of(str(tmp_path / "mine"), tmp_path / "raw"))


def test_a_saved_table_alone_is_told(tmp_path):
    datasets.Dataset.from_list(QUERIES).save_to_disk(tmp_path / "mine")
    with pytest.raises(UserError, match="there are no documents: it has nothing"):
        folder_of(str(tmp_path / "mine"), tmp_path / "raw")


def test_any_other_folder_is_taken_as_it_is(tmp_path):
    assert folder_of(str(tmp_path), tmp_path / "raw") == tmp_path
    assert folder_of("nowhere", tmp_path / "raw").name == "nowhere"
    assert not (tmp_path / "raw").exists()
