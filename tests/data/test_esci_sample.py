from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest

from arrange.data import esci, esci_sample, tables
from arrange.data.esci_files import EXAMPLES, PRODUCTS
from arrange.data.esci_sample import LOCALES
from arrange.data.esci_words import ACCESSORIES, CATEGORIES, COLOURS, DEPARTMENTS, SIZES, SYLLABLES
from arrange.errors import UserError

SIZE = 3000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample") / "esci"
    esci_sample.write(path, SIZE, seed=1)
    return path


@pytest.fixture(scope="module")
def judged(folder: Path) -> pl.DataFrame:
    """Every judgement with its product."""
    products = pl.read_parquet(folder / PRODUCTS)
    return pl.read_parquet(folder / EXAMPLES).join(products, on=["product_id", "product_locale"], how="left")


class Meaning(NamedTuple):
    """What a text says, None where it says nothing."""

    category: int | None
    brand: str | None
    colour: str | None
    size: str | None


NAMES = [
    {name.lower(): category for category, names in enumerate(CATEGORIES) for name in names[locale]}
    for locale in range(3)
]


def understand(text: str, locale: str, brands: set[str]) -> Meaning:
    """Read a title or a query as a person would: the words decide, the longest name of a category first."""
    place = LOCALES.index(locale)
    plain = " ".join(text.lower().translate(str.maketrans(",()", "   ")).split())
    found = [name for name in NAMES[place] if f" {name} " in f" {plain} "]
    words = plain.split()
    sizes = {size.lower() for department in SIZES for size in department}
    return Meaning(
        NAMES[place][max(found, key=len)] if found else None,
        next((word for word in words if word in brands), None),
        next((word for word in words if word in {colour[place] for colour in COLOURS}), None),
        next((word for word in words if word in sizes), None),
    )


def test_labels_follow_from_what_the_texts_say(judged: pl.DataFrame) -> None:
    """Oracle: titles and queries read word by word, and the four rules applied to what they say."""
    brands = {title.split()[0].lower() for title in judged["product_title"]}
    wrong = []
    for row in judged.iter_rows(named=True):
        asked = understand(row["query"], row["product_locale"], brands)
        got = understand(row["product_title"], row["product_locale"], brands)
        assert None not in got
        assert asked.category is not None
        broken = sum(wish not in (None, value) for wish, value in zip(asked[1:], got[1:], strict=True))
        if asked.category == got.category:
            label = "ESII"[broken]
        else:
            label = "C" if got.category in ACCESSORIES[asked.category] else "I"
        if label != row["esci_label"]:
            wrong.append((row["query"], row["product_title"], row["esci_label"], label))
    assert wrong == []


def test_the_files_have_the_official_schema(folder: Path) -> None:
    assert pl.read_parquet_schema(folder / EXAMPLES) == {
        "example_id": pl.Int64,
        "query": pl.String,
        "query_id": pl.Int64,
        "product_id": pl.String,
        "product_locale": pl.String,
        "esci_label": pl.String,
        "small_version": pl.Int64,
        "large_version": pl.Int64,
        "split": pl.String,
    }
    texts = ["title", "description", "bullet_point", "brand", "color"]
    products = pl.read_parquet(folder / PRODUCTS)
    assert products.schema == dict.fromkeys(
        ["product_id", *(f"product_{text}" for text in texts), "product_locale"], pl.String
    )
    assert products.height == products["product_id"].n_unique() == SIZE
    assert products["product_title"].null_count() == 0
    assert 0 < products["product_brand"].null_count() < products["product_color"].null_count() < SIZE


def test_every_judgement_is_there_once_and_names_a_product_of_its_locale(judged: pl.DataFrame) -> None:
    assert judged["product_title"].null_count() == 0
    assert not judged.select("query_id", "product_id").is_duplicated().any()
    assert judged["example_id"].to_list() == list(range(judged.height))
    of_query = judged.group_by("query_id").agg(pl.col("query", "split", "product_locale").n_unique())
    assert of_query.select(pl.col("query", "split", "product_locale").max()).row(0) == (1, 1, 1)
    assert set(judged["split"]) == {"train", "test"}


def test_no_two_queries_of_a_locale_say_the_same(judged: pl.DataFrame) -> None:
    brands = {title.split()[0].lower() for title in judged["product_title"]}
    queries = judged.select("query_id", "query", "product_locale").unique()
    said = [(locale, *understand(text, locale, brands)) for _, text, locale in queries.iter_rows()]
    assert len(said) == len(set(said)) == SIZE


def test_shoppers_have_a_name_for_a_category_that_no_title_has(judged: pl.DataFrame) -> None:
    thirds = {(locale, names[place][2].lower()) for names in CATEGORIES for place, locale in enumerate(LOCALES)}

    def third(column: str) -> list[bool]:
        texts = judged.select("product_locale", column).unique().rows()
        said = [(locale, f" {text.lower().replace(',', ' ')} ") for locale, text in texts]
        return [any(where == locale and f" {name} " in text for where, name in thirds) for locale, text in said]

    assert not any(third("product_title"))
    assert 0.3 < sum(third("query")) / len(third("query")) < 0.37


def test_lists_are_long_enough_and_hold_all_labels(judged: pl.DataFrame) -> None:
    lengths = judged.group_by("query_id").len()["len"]
    assert 12 <= lengths.mean() <= 25
    assert lengths.max() <= 188
    assert judged.filter(pl.col("esci_label") == "E")["query_id"].n_unique() == judged["query_id"].n_unique()
    share = dict(judged["esci_label"].value_counts(normalize=True).iter_rows())
    assert min(share["E"], share["S"]) > 0.25 > share["C"] > 0.03


def test_a_category_has_three_names_of_its_own_in_every_language() -> None:
    assert all(len(names) == len(LOCALES) and all(len(same) == 3 for same in names) for names in CATEGORIES)
    for names in NAMES:
        assert len(names) == 3 * len(CATEGORIES)
    assert len(set(SYLLABLES)) == len(SYLLABLES)
    assert all(len(sizes) == len(SIZES[0]) for sizes in SIZES)


def test_accessories_are_of_one_category_and_one_department() -> None:
    assert CATEGORIES[0][0][0] == "smartphone"
    assert [CATEGORIES[index][0][0] for index in ACCESSORIES[0]] == ["phone case", "screen protector"]
    assert [CATEGORIES[index][0][0] for index in ACCESSORIES[3]] == ["laptop sleeve", "laptop sleeve"]  # it has one
    assert ACCESSORIES[1] == (-1, -1)
    belong = [index for pair in ACCESSORIES for index in set(pair) if index >= 0]
    assert len(belong) == len(set(belong)) > 15
    assert all(
        DEPARTMENTS[index] == DEPARTMENTS[of] for of, pair in enumerate(ACCESSORIES) for index in pair if index >= 0
    )


def test_the_same_seed_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    esci_sample.write(tmp_path / "same", SIZE, seed=1)
    esci_sample.write(tmp_path / "other", SIZE, seed=2)
    for name in (EXAMPLES, PRODUCTS):
        assert (tmp_path / "same" / name).read_bytes() == (folder / name).read_bytes()
        assert (tmp_path / "other" / name).read_bytes() != (folder / name).read_bytes()


def test_chunks_join_without_a_seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(esci_sample, "CHUNK", 70)
    esci_sample.write(tmp_path / "esci", 500, seed=1)
    products, examples = (pl.read_parquet(tmp_path / "esci" / name) for name in (PRODUCTS, EXAMPLES))
    assert products["product_id"].to_list() == [f"S{i:09d}" for i in range(500)]
    assert examples["example_id"].to_list() == list(range(examples.height))
    assert examples["query_id"].unique().to_list() == list(range(examples["query_id"].max() + 1))
    assert examples.join(products, on=["product_id", "product_locale"], how="anti").is_empty()
    assert examples.filter(pl.col("esci_label") == "E")["query_id"].n_unique() == examples["query_id"].n_unique()


def test_lists_have_the_lengths_that_were_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(esci_sample, "LIST_LENGTH", (6.0, 0.0, 2, 9))
    esci_sample.write(tmp_path / "esci", 1000, seed=1)
    lengths = pl.read_parquet(tmp_path / "esci" / EXAMPLES).group_by("query_id").len()["len"]
    assert lengths.max() == 6
    assert (lengths == 6).sum() > lengths.len() / 3  # the others' pools are too small


@pytest.mark.parametrize("size", [200, 1000])
def test_it_goes_the_way_of_the_official_files(tmp_path: Path, size: int) -> None:
    esci_sample.write(tmp_path / "esci", size, seed=1)
    dataset, left_out = esci.tables(
        tmp_path / "esci" / EXAMPLES, tmp_path / "esci" / PRODUCTS, locales=LOCALES, validation=0.1
    )
    tables.check(dataset)
    assert not any(out.rows for out in left_out)
    assert set(dataset.queries["split"]) == {"train", "validation", "test"}


def test_a_sample_that_is_too_small_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a sample of 199 products"):
        esci_sample.write(tmp_path / "esci", 199, seed=1)
    assert list(tmp_path.iterdir()) == []


def test_a_list_has_the_product_that_its_query_was_made_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(esci_sample, "LIST_LENGTH", (1.0, 0.0, 1, 1))
    monkeypatch.setattr(esci_sample, "CHUNK", 70)
    esci_sample.write(tmp_path / "esci", 500, seed=1)
    examples = pl.read_parquet(tmp_path / "esci" / EXAMPLES)
    assert set(examples["esci_label"]) == {"E"}
    assert examples["query_id"].to_list() == list(range(500))
