import json
import shutil
from pathlib import Path

import polars as pl
import pytest
import yaml
from checkout import SHAPE
from sections import changed

from arrange.base_models.prepare import prepare
from arrange.base_models.settings import Scratch
from arrange.data import tables
from arrange.docids.catalogue import open_catalogue
from tasks.docids import docids

DOCUMENTS = pl.DataFrame({"doc_id": ["d", "e", "f"], "text": ["brown dog, small", "brown elk, tall", "red fox, small"]})
SCHEMES = {
    "rq": {"scheme": "rq", "levels": 2, "codebook": 2, "seed": 1, "relevance": 0.5},
    "rqvae": {"scheme": "rqvae", "levels": 2, "codebook": 2, "steps": 20, "seed": 1, "relevance": 0.5},
    "lexical": {"scheme": "lexical", "words": 2, "vocabulary": 50, "steps": 10, "seed": 1},
}


def prepared(folder: Path, split: str, text: str, document: str) -> None:
    """A data set with a training query, and another query with a text and a document."""
    queries = pl.DataFrame({"query_id": ["a", "b"], "text": ["small pet", text], "split": ["train", split]})
    qrels = pl.DataFrame([("a", "d", 1, 1), ("b", document, 1, 1)], tables.SCHEMAS["qrels"], orient="row")
    tables.write(tables.Dataset(queries, DOCUMENTS, qrels), folder)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_docids_follow_from_training_queries_and_never_from_others(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the training query says counts; a validation query changes nothing, and test queries may be gone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_STAGE", "docids@wordnet-text")
    Path("base_models/scratch").mkdir(parents=True)
    Path("base_models/scratch/shape.json").write_text(json.dumps({"model_type": "llama"}))
    Path("params.yaml").write_text(yaml.safe_dump(changed(("docids.schemes.text", SCHEMES[scheme]))))
    found = []
    for split, text, document in (("test", "tall", "e"), ("validation", "fox", "f"), ("train", "red fox pet", "f")):
        shutil.rmtree("data/wordnet", ignore_errors=True)
        prepared(Path("data/wordnet"), split, text, document)
        shutil.rmtree("data/wordnet/test")
        docids("wordnet-text")
        found.append(Path("docids/wordnet-text/assignment/arrays.safetensors").read_bytes())
    assert found[0] == found[1] != found[2]


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
