"""The published counts of WordNet 3.0 nouns, against the real files where there are some."""

import os
from pathlib import Path

import polars as pl
import pytest

from arrange.data.tables import check
from arrange.data.wordnet import ancestors, tables
from arrange.data.wordnet_files import Synset, read

FOLDER = Path(os.environ.get("WORDNET_DIR") or "/usr/share/wordnet")
pytestmark = pytest.mark.skipif(
    not (FOLDER / "data.noun").is_file(), reason="no WordNet in $WORDNET_DIR or /usr/share/wordnet"
)


@pytest.fixture(scope="module")
def synsets() -> dict[str, Synset]:
    return read(FOLDER)


def test_synsets(synsets: dict[str, Synset]) -> None:
    assert len(synsets) == 82_115  # by id: so ids are unique
    assert sum(len(synset.hypernyms) for synset in synsets.values()) == 84_427
    assert [id_ for id_, synset in synsets.items() if not synset.hypernyms] == ["entity.n.01"]
    assert synsets["dog.n.01"].lemmas == ("dog", "domestic dog", "Canis familiaris")
    assert synsets["dog.n.01"].hypernyms == ("canine.n.02", "domestic_animal.n.01")


def test_first_lemmas(synsets: dict[str, Synset]) -> None:
    first = pl.DataFrame({"lemma": [synset.lemmas[0] for synset in synsets.values()]})
    for names, counts in (
        (first["lemma"], (8_887, 23_109)),
        (first["lemma"].str.to_lowercase(), (9_214, 24_143)),
    ):
        shared = names.value_counts().filter(pl.col("count") > 1)["count"]
        assert (shared.len(), shared.sum()) == counts


def test_hypernyms(synsets: dict[str, Synset]) -> None:
    above = ancestors(synsets)
    lengths = [len(list_) for list_ in above.values() if list_]
    assert (sum(lengths), min(lengths), max(lengths), len(lengths)) == (743_241, 1, 34, 82_114)
    assert round(sum(lengths) / len(lengths), 2) == 9.05
    assert list(above["dog.n.01"])[:4] == [
        "canine.n.02",
        "domestic_animal.n.01",
        "carnivore.n.01",
        "animal.n.01",
    ]


def test_tables_of_the_whole_hierarchy() -> None:
    whole = tables(read(FOLDER), "entity.n.01", "lemmas_gloss", "parent", validation=0.05, test=0.1)
    check(whole)
    first = whole.qrels.filter(rank=1).join(whole.queries, on="query_id")
    assert first.group_by("doc_id").agg(pl.col("split").n_unique())["split"].max() == 1
    assert (whole.queries.height, whole.documents.height, whole.qrels.height) == (82_114, 17_157, 743_241)


def test_tables_of_the_animals() -> None:
    animals = tables(read(FOLDER), "animal.n.01", "lemmas", "parent", validation=0.05, test=0.1)
    check(animals)
    assert (animals.queries.height, animals.documents.height, animals.qrels.height) == (4_017, 1_069, 53_911)
    assert dict(animals.queries["split"].value_counts().rows()) == {
        "train": 3_465,
        "validation": 195,
        "test": 357,
    }
