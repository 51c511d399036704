"""The table of augmented examples: the round trip by BM25, weights, and the file."""

import polars as pl
import pytest

from arrange.augmentation import examples
from arrange.augmentation.words import MADE
from arrange.data import augmented
from arrange.errors import UserError

DOCUMENTS = pl.DataFrame({"doc_id": list("abc"), "text": ["red trail shoes", "red rain coat", "red straw hat"]})


def table(*rows):
    return pl.DataFrame(rows, MADE, orient="row")


def test_a_text_is_kept_if_it_leads_back_to_its_document():
    made = table(
        ("trail shoes", "a", "spans"),
        ("trail shoes", "b", "spans"),  # it leads to a
        ("red", "a", "keywords"),  # to all three, in the order of their ids
        ("red", "b", "keywords"),
        ("red", "c", "keywords"),
        ("nothing", "a", "document"),  # always kept
    )
    assert examples.found(made, DOCUMENTS, 1).rows() == [made.row(0), made.row(2), made.row(5)]
    assert examples.found(made, DOCUMENTS, 2).rows() == [made.row(0), made.row(2), made.row(3), made.row(5)]
    assert examples.found(made, DOCUMENTS, 0).rows() == made.rows()


def test_weights_sum_to_one_over_a_document_and_its_origins_are_alike():
    made = table(("s1", "a", "spans"), ("s2", "a", "spans"), ("k", "a", "keywords"), ("s1", "b", "spans"))
    assert examples.weighted(made, pl.Series(["b"]), seen=0.5)["weight"].to_list() == [0.25, 0.25, 0.5, 0.5]
    assert examples.weighted(made, pl.Series(["b"]), seen=0.0)["doc_id"].to_list() == ["a", "a", "a"]


def test_what_is_written_is_read_again_by_origin(tmp_path):
    made = examples.weighted(table(("s", "b", "spans"), ("k", "a", "keywords")), pl.Series([], dtype=pl.String), 1.0)
    augmented.write(made, path := tmp_path / "augment/data.parquet")
    assert augmented.read(path, DOCUMENTS["doc_id"], ["spans"]).rows() == [("s", "b", "spans", 1.0)]
    both = augmented.read(path, DOCUMENTS["doc_id"], ["spans", "keywords"])
    assert both["text"].to_list() == ["k", "s"]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.unlink(), "can't be read"),
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), "can't be read"),
        (lambda path: pl.DataFrame({"text": ["s"]}).write_parquet(path), "has the columns text, not text, doc_id"),
        (lambda path: augmented.write(pl.read_parquet(path).head(0), path), "has no example of spans; it has: none"),
        (lambda path: augmented.write(pl.read_parquet(path).with_columns(doc_id=pl.lit("x")), path), "document 'x'"),
    ],
    ids=["missing", "cut", "other columns", "empty", "other documents"],
)
def test_a_table_that_training_cannot_use_is_named(tmp_path, spoil, words):
    path = tmp_path / "data.parquet"
    augmented.write(pl.DataFrame([("s", "a", "spans", 1.0)], augmented.SCHEMA, orient="row"), path)
    spoil(path)
    with pytest.raises(UserError, match=words):
        augmented.read(path, DOCUMENTS["doc_id"], ["spans"])
