import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from arrange.base_models.prepare import prepare
from arrange.base_models.settings import Scratch
from arrange.docids import schemes, tokens
from arrange.docids.catalogue import open_catalogue, read_tokenizer, tokenizer_for, write
from arrange.errors import UserError

TEXTS = ["red wool hat", "red shoe", "blue shoe"]
QUERIES = ["a hat of wool", "shoes in blue"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assignment = schemes.build(schemes.Text(least_words=1), TEXTS)
    write(
        tmp_path / "shop",
        pl.Series(["a", "b", "c"]),
        assignment,
        tokenizer_for(assignment, QUERIES, scratch(tmp_path), 300),
    )
    return tmp_path / "shop"


def test_what_is_written_is_what_is_opened(folder: Path) -> None:
    catalogue = open_catalogue(folder)
    assert catalogue.docids.select("doc_id", "docid").rows() == [("a", "red wool"), ("b", "red shoe"), ("c", "blue")]
    for row, ids in enumerate(catalogue.docids["tokens"].to_list()):
        assert catalogue.trie.documents(catalogue.trie.walk(ids)) == row
        assert catalogue.tokenizer.decode(ids, skip_special_tokens=True) == catalogue.docids["docid"][row]
        assert ids[-1] == catalogue.tokenizer.eos_token_id
    assert schemes.load(folder / "assignment").texts == TEXTS
    assert sorted(path.name for path in folder.iterdir()) == [
        "assignment",
        "docids.parquet",
        "statistics.json",
        "tokenizer",
        "trie.safetensors",
    ]


def scratch(folder: Path) -> Path:
    """The folder of a base model with random weights."""
    prepare(Scratch(shape={"model_type": "llama"}), folder / "scratch")
    return folder / "scratch"


def test_codes_are_tokens_of_the_saved_tokenizer(tmp_path: Path) -> None:
    assignment = schemes.build(schemes.Atomic(), TEXTS)
    write(tmp_path, pl.Series(["a", "b", "c"]), assignment, tokenizer_for(assignment, QUERIES, scratch(tmp_path), 300))
    catalogue = open_catalogue(tmp_path)
    assert [len(ids) for ids in catalogue.docids["tokens"]] == [2, 2, 2]
    assert catalogue.tokenizer.convert_ids_to_tokens(catalogue.docids["tokens"][1][0]) == "<doc_1>"


def test_statistics_say_how_the_codes_of_each_level_are_used(tmp_path: Path) -> None:
    vectors_DE = np.array([[4, 0], [4, 1], [0, 9]], np.float32)
    assignment = schemes.build(schemes.Rq(levels=2, codebook=2, seed=1), TEXTS, vectors_DE)
    write(tmp_path, pl.Series(["a", "b", "c"]), assignment, tokenizer_for(assignment, QUERIES, scratch(tmp_path), 300))
    statistics = json.loads((tmp_path / "statistics.json").read_text())
    # Level 0 parts the first two from the third and leaves (0, -0.5), (0, 0.5) and 0, of which level 1 has 2 means.
    assert statistics["codes_used_by_level"] == [2, 2]
    assert statistics["perplexity_by_level"] == [1.89, 1.89]
    assert statistics["collisions_by_level"] == [1, statistics["collisions"]] == [1, 0]
    left = statistics["reconstruction_error_by_level"]
    assert left == [round(0.5 / 114, 4), round(0.125 / 114, 4)]


def test_a_tokenizer_is_trained_on_what_it_will_spell(tmp_path: Path) -> None:
    named, coded = schemes.build(schemes.Text(least_words=1), TEXTS), schemes.build(schemes.Atomic(), TEXTS)
    names = [docid for (docid,) in named.docids]
    for assignment, spelt in ((named, names), (coded, TEXTS)):
        expected = tokens.train_tokenizer([*QUERIES, *spelt], 270)
        assert tokenizer_for(assignment, QUERIES, scratch(tmp_path), 270).get_vocab() == expected.get_vocab()


def test_a_tokenizer_can_be_one_that_there_is(folder: Path) -> None:
    assignment = schemes.build(schemes.Numeric(), TEXTS)
    (folder / "tokenizer" / "config.json").write_text("{}")  # as in a base model's folder
    tokenizer = tokenizer_for(assignment, QUERIES, folder / "tokenizer", 0)
    assert tokenizer.get_vocab() == read_tokenizer(folder / "tokenizer").get_vocab()


def test_the_table_may_have_another_name_and_more_columns(folder: Path) -> None:
    table = pl.read_parquet(folder / "docids.parquet").with_columns(text=pl.Series(TEXTS))
    table.write_parquet(folder / "documents.parquet")
    (folder / "docids.parquet").unlink()
    assert open_catalogue(folder, "documents.parquet").docids["text"].to_list() == TEXTS


@pytest.mark.parametrize("name", ["docids.parquet", "tokenizer/tokenizer.json", "trie.safetensors"])
@pytest.mark.parametrize("kept", [None, 0.0, 0.5])
def test_a_part_that_is_missing_or_cut_short_is_refused(folder: Path, name: str, kept: float | None) -> None:
    path = folder / name
    content = path.read_bytes()
    path.unlink()
    if kept is not None:
        path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(UserError) as error:
        open_catalogue(folder)
    assert str(folder) in error.value.what
    assert error.value.remedy


def test_a_trie_whose_contents_have_changed_is_refused(folder: Path) -> None:
    path = folder / "trie.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="checksum"):
        open_catalogue(folder)


def test_a_table_that_does_not_fit_the_trie_is_refused(folder: Path) -> None:
    table = pl.read_parquet(folder / "docids.parquet")
    table.head(2).write_parquet(folder / "docids.parquet")
    with pytest.raises(UserError, match="2 documents, 3 docIDs"):
        open_catalogue(folder)
    table.drop("tokens").write_parquet(folder / "docids.parquet")
    with pytest.raises(UserError, match="tokens is missing"):
        open_catalogue(folder)
