import json
import shutil
from pathlib import Path

import polars as pl
import pytest
import yaml
from sections import changed

from arrange.data import tables
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
