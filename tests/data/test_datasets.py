"""Data sets as entries of params.yaml: what each source makes of its settings."""

import json
from pathlib import Path
from typing import Annotated, Any

import mini_wordnet
import polars as pl
import pytest
from pydantic import Field, TypeAdapter, ValidationError

from arrange.data import datasets, esci, esci_files, esci_sample, folder, tables, wordnet, wordnet_files
from arrange.errors import UserError
from arrange.models.vectors import TFIDF_SVD

WORDNET = {
    "source": "wordnet",
    "root": "animal.n.01",
    "text": "lemmas_gloss",
    "split": "parent",
    "validation": 0.15,
    "test": 0.2,
    "negatives": 0,
    "seed": 1,
}
ESCI = {
    "source": "esci",
    "locales": ["us"],
    "version": "small",
    "text": ["product_title"],
    "gains": {"E": 100, "S": 10, "C": 1, "I": 0},
    "validation": 0.1,
    "truth": "labels",
    "teacher": {"vectoriser": {"name": TFIDF_SVD, "dimensions": 8, "seed": 1}, "length": 5, "deepest": 100},
}
FOLDER = {"source": "folder"}


def read(entry: dict[str, Any]) -> datasets.Source:
    adapter = TypeAdapter(Annotated[datasets.Source, Field(discriminator="source")])
    return adapter.validate_json(json.dumps(entry), strict=True, extra="forbid")


@pytest.fixture
def nouns(tmp_path: Path) -> str:
    mini_wordnet.write(tmp_path / "nouns")
    wordnet_files.save(wordnet_files.read(tmp_path / "nouns"), tmp_path / "wordnet.parquet")
    return str(tmp_path / "wordnet.parquet")


@pytest.fixture(scope="module")
def products(tmp_path_factory: pytest.TempPathFactory) -> Path:
    raw = tmp_path_factory.mktemp("raw") / "products"
    esci_sample.write(raw, 300, seed=1)
    return raw


def test_wordnet_may_be_prepared_twice_with_other_roots(nouns: str, tmp_path: Path) -> None:
    entries = {
        "animals": read(WORDNET | {"raw": nouns}),
        "things": read(WORDNET | {"raw": nouns, "root": "entity.n.01"}),
    }
    for name, entry in entries.items():
        dataset, about, groups = datasets.prepare(name, entry)
        tables.write(dataset, tmp_path / name, groups, about)
    animals, things = (tables.read(tmp_path / name, ["train", "validation", "test"]) for name in entries)
    assert set(animals.queries["query_id"]) < set(things.queries["query_id"])
    about = tables.read_about(tmp_path / "animals")
    assert about.title == "WordNet 3.0 nouns below `animal.n.01`, query text `lemmas_gloss`, split by `parent`."
    assert about.measures == tables.LISTS
    assert about.labels == {}
    assert "`entity.n.01`" in tables.read_about(tmp_path / "things").title
    assert tables.read_groups(tmp_path / "animals")["grouping"].unique().to_list() == ["kind"]


@pytest.mark.parametrize("split", ["parent", "subtree"])
def test_what_the_note_says_of_a_split_is_so(nouns: str, split: str) -> None:
    dataset, about, _ = datasets.prepare("animals", read(WORDNET | {"raw": nouns, "split": split}))
    assert about.note.startswith("No test query shares a nearest hypernym with a training query")
    first = dataset.qrels.filter(rank=1).join(dataset.queries, on="query_id")
    assert not set(first.filter(split="test")["doc_id"]) & set(first.filter(split="train")["doc_id"])


def test_products_have_labels_and_what_was_left_out(products: Path) -> None:
    (products / esci_files.ORIGIN).write_text('{"name": "sample of 300 generated products (no ESCI score)"}')
    dataset, about, groups = datasets.prepare("products", read(ESCI | {"raw": str(products)}))
    tables.check(dataset)
    assert about.title == "Sample of 300 generated products (no ESCI score)."
    assert about.measures == tables.TIERS
    assert about.labels == {100: "exact", 10: "substitute", 1: "complement", 0: "irrelevant"}
    assert about.left_out["judgements of other locales"]["rows"] > 0
    assert groups is not None
    assert set(groups["grouping"]) == {"locale", "words"}


@pytest.mark.parametrize("content", ["{", "[]", "{}"])
def test_a_damaged_note_on_the_origin_is_named(products: Path, content: str) -> None:
    (products / esci.ORIGIN).write_text(content)
    with pytest.raises(UserError, match=r"origin\.json has no name in JSON"):
        datasets.prepare("products", read(ESCI | {"raw": str(products)}))
    (products / esci.ORIGIN).unlink()


def test_labels_of_equal_gain_are_one_tier() -> None:
    assert esci.label_names({"E": 2, "S": 1, "C": 1, "I": 0}) == {
        2: "exact",
        1: "substitute or complement",
        0: "irrelevant",
    }


def test_a_teacher_gives_ranks_in_place_of_labels(products: Path) -> None:
    (products / esci_files.ORIGIN).write_text('{"name": "some products"}')
    dataset, about, _ = datasets.prepare("products", read(ESCI | {"raw": str(products), "truth": "teacher"}))
    tables.check(dataset)
    assert about.title == "Some products, ranks by the teacher tfidf-svd."
    assert (about.measures, about.labels) == (tables.LISTS, {})
    assert dataset.qrels.group_by("query_id").len()["len"].unique().to_list() == [5]
    assert "queries without a word that the teacher knows" in about.left_out


def test_files_without_a_note_on_their_origin_are_somebodys_own(products: Path) -> None:
    (products / esci_files.ORIGIN).unlink(missing_ok=True)
    _, about, _ = datasets.prepare("mine", read(ESCI | {"raw": str(products)}))
    assert about.title == "Own files in the schema of ESCI (no ESCI score)."


@pytest.mark.parametrize(("gain", "measures"), [(3, tables.TIERS), (10**6, tables.LISTS)])
def test_a_folder_of_ones_own(tmp_path: Path, gain: int, measures: tuple[str, ...]) -> None:
    mine = tmp_path / "my zoo"
    mine.mkdir()
    splits = ["train", "validation", "test", "test"]
    pl.DataFrame({"query_id": ["1", "2", "3", "4"], "text": "a", "split": splits}).write_csv(mine / "queries.csv")
    pl.DataFrame({"doc_id": ["x"], "text": "b"}).write_csv(mine / "documents.csv")
    (mine / "qrels.txt").write_text(f"1 0 x {gain}\n2 0 x {gain}\n3 0 x {gain}\n")
    dataset, about, groups = datasets.prepare("mine", read(FOLDER | {"raw": str(mine)}))
    tables.check(dataset)
    assert (about.title, about.source, about.measures) == ("Own data (mine).", "own data (my zoo)", measures)
    assert about.left_out["queries without a ranked document"] == {"rows": 1, "first": ["4"]}
    assert groups is None


def test_queries_too_few_for_the_shares_are_answered_with_the_knob(tmp_path: Path) -> None:
    pl.DataFrame({"query_id": [str(i) for i in range(14)], "text": "a"}).write_csv(tmp_path / "queries.csv")
    pl.DataFrame({"doc_id": ["x"], "text": "b"}).write_csv(tmp_path / "documents.csv")
    (tmp_path / "qrels.txt").write_text("".join(f"{i} 0 x 1\n" for i in range(14)))
    with pytest.raises(UserError, match="none of them in the test split") as error:
        datasets.prepare("mine", folder.Folder(raw=str(tmp_path), test=0.01))
    assert "datasets.mine.test" in error.value.remedy
    with pytest.raises(UserError, match="none of them in the validation split") as error:
        datasets.prepare("mine", folder.Folder(raw=str(tmp_path), test=0.5, validation=0.001))
    assert "datasets.mine.validation" in error.value.remedy


@pytest.mark.parametrize(
    ("entry", "change", "key"),
    [
        (WORDNET, {"validation": 0.0}, "validation"),
        (WORDNET, {"test": 1.0}, "test"),
        (WORDNET, {"negatives": -1}, "negatives"),
        (WORDNET, {"text": "words"}, "text"),
        (WORDNET, {"roots": "a"}, "roots"),
        (ESCI, {"locales": []}, "locales"),
        (ESCI, {"gains": {"E": 1, "S": -1, "C": 1, "I": 0}}, "S"),
        (ESCI, {"gains": {"E": 1, "S": 1, "C": 1}}, "gains lacks I"),
        (FOLDER, {"raw": "relative"}, "raw 'relative'"),
        (FOLDER, {"raw": "/a\0b"}, "isn't an absolute path"),
    ],
)
def test_settings_out_of_bounds_are_refused(entry: dict[str, Any], change: dict[str, Any], key: str) -> None:
    read(entry | {"raw": "/x"})
    with pytest.raises(ValidationError) as error:
        read(entry | {"raw": "/x"} | change)
    [only] = error.value.errors()
    assert key in str(only["loc"]) or key in only["msg"]


def test_a_missing_raw_file_is_named(tmp_path: Path) -> None:
    for entry in (WORDNET, ESCI, FOLDER):
        with pytest.raises((UserError, FileNotFoundError), match="nothing"):
            datasets.prepare("mine", read(entry | {"raw": str(tmp_path / "nothing")}))


def test_python_may_leave_out_the_source() -> None:
    assert folder.Folder(raw="/x") == read(FOLDER | {"raw": "/x"})
    values = {name: value for name, value in WORDNET.items() if name != "source"}
    assert wordnet.Wordnet(raw="/x", **values) == read(WORDNET | {"raw": "/x"})
