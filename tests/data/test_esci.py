import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arrange.data import esci, tables
from arrange.data.esci_files import EXAMPLES, PRODUCTS
from arrange.data.rows import LeftOut
from arrange.errors import UserError

EXTRACT = Path(__file__).parents[2].parent / "shared" / "data" / "esci_extract"

COLUMNS = ["query_id", "query", "product_id", "product_locale", "esci_label", "split"]
JUDGEMENTS = [
    (1, "red shoe", "P1", "us", "S", "train"),
    (1, "red shoe", "P2", "us", "E", "train"),
    (1, "red shoe", "P3", "us", "C", "train"),
    (1, "red shoe", "P4", "us", "I", "train"),
    (2, "hat", "P4", "us", "C", "test"),
    (2, "hat", "P1", "us", "S", "test"),
    (3, "shoe", "P1", "us", "C", "train"),
    (4, "zapato", "P1", "es", "E", "train"),
    (4, "zapato", "P5", "es", "E", "train"),
]
TITLES = [
    ("P1", "us", "Blue shoe"),
    ("P2", "us", "Red  shoe\n"),
    ("P3", "us", "Laces"),
    ("P4", "us", "Straw hat"),
    ("P1", "es", "Zapato azul"),
    ("P5", "es", "Zapato rojo"),
    ("P6", "us", "Never judged"),
]


class Prepared(NamedTuple):
    dataset: tables.Dataset
    left_out: list[LeftOut]


SMALL = {"small_version": 1, "large_version": 1}


def examples(rows: list[tuple] = JUDGEMENTS, **columns: Any) -> pl.DataFrame:
    frame = pl.DataFrame(rows, COLUMNS, orient="row").with_row_index("example_id")
    return frame.with_columns(__index_level_0__=pl.lit(0)).with_columns(**{**SMALL, **columns})


def products(rows: list[tuple] = TITLES, **columns: Any) -> pl.DataFrame:
    frame = pl.DataFrame(rows, ["product_id", "product_locale", "product_title"], orient="row")
    others = ("product_description", "product_bullet_point", "product_brand", "product_color")
    return frame.with_columns(**{**dict.fromkeys(others, pl.lit(None, pl.String)), **columns})


def prepare(
    folder: Path, judged: pl.DataFrame | None = None, listed: pl.DataFrame | None = None, **arguments: Any
) -> Prepared:
    (examples() if judged is None else judged).write_parquet(folder / EXAMPLES)
    (products() if listed is None else listed).write_parquet(folder / PRODUCTS)
    prepared = Prepared(*esci.tables(folder / EXAMPLES, folder / PRODUCTS, **{"validation": 0.0, **arguments}))
    tables.check(prepared.dataset)
    return prepared


def counts(prepared: Prepared) -> dict[str, int]:
    return {out.why: out.rows for out in prepared.left_out if out.rows}


def message(folder: Path, *frames: pl.DataFrame | None, **arguments: Any) -> str:
    with pytest.raises(UserError) as error:
        prepare(folder, *frames, **arguments)
    assert len(str(error.value).splitlines()) == 2
    return error.value.what.replace(f"{folder}/", "").replace("shopping_queries_dataset_", "")


def test_labels_become_tiers_and_gains(tmp_path: Path) -> None:
    prepared = prepare(tmp_path)
    assert prepared.dataset.queries.rows() == [("1", "red shoe", "train"), ("2", "hat", "test"), ("3", "shoe", "train")]
    assert prepared.dataset.documents.rows() == [
        ("us:P1", "Blue shoe"),
        ("us:P2", "Red shoe"),
        ("us:P3", "Laces"),
        ("us:P4", "Straw hat"),
    ]
    assert prepared.dataset.qrels.rows() == [
        ("1", "us:P2", 1, 100),
        ("1", "us:P1", 2, 10),
        ("1", "us:P3", 3, 1),
        ("1", "us:P4", None, 0),
        ("2", "us:P1", 1, 10),  # dense within the query: without an E, S is first
        ("2", "us:P4", 2, 1),
        ("3", "us:P1", 1, 1),
    ]
    assert counts(prepared) == {"judgements of other locales": 2}
    assert len(prepared.left_out) == 10  # what didn't happen is counted too: as 0


def test_equal_labels_tie_and_equal_gains_too(tmp_path: Path) -> None:
    judged = examples([*JUDGEMENTS, (1, "red shoe", "P6", "us", "E", "train")])
    ranks = prepare(tmp_path, judged).dataset.qrels.filter(pl.col("query_id") == "1")["rank"].to_list()
    assert ranks == [1, 1, 2, 3, None]
    one = prepare(tmp_path, judged, gains={"E": 2, "S": 2, "C": 0, "I": 0})
    assert one.dataset.qrels.filter(pl.col("query_id") == "1").rows() == [
        ("1", "us:P1", 1, 2),
        ("1", "us:P2", 1, 2),
        ("1", "us:P6", 1, 2),
        ("1", "us:P3", None, 0),
        ("1", "us:P4", None, 0),
    ]
    assert counts(one)["judgements of queries without a document of gain above 0"] == 1  # query 3 has a C alone


def test_a_product_is_its_locales(tmp_path: Path) -> None:
    """P1 is in two locales, with two titles: a join on the product alone would double its rows."""
    prepared = prepare(tmp_path, locales=["us", "es"])
    assert prepared.dataset.documents.filter(pl.col("doc_id").str.ends_with(":P1")).rows() == [
        ("es:P1", "Zapato azul"),
        ("us:P1", "Blue shoe"),
    ]
    assert prepared.dataset.qrels.height == len(JUDGEMENTS)
    assert counts(prepared) == {}


def test_texts_are_joined_from_the_columns_that_are_asked_for(tmp_path: Path) -> None:
    listed = products(product_brand=pl.lit(" Acme "), product_color=pl.Series(["red", "", *[None] * 5]))
    prepared = prepare(tmp_path, None, listed, text=["product_brand", "product_title", "product_color"])
    texts = prepared.dataset.documents["text"].to_list()
    assert texts == ["Acme Blue shoe red", "Acme Red shoe", "Acme Laces", "Acme Straw hat"]


def test_the_version_is_a_choice(tmp_path: Path) -> None:
    judged = examples(small_version=(pl.col("query_id") != 1).cast(pl.Int64))
    rows = [*JUDGEMENTS, (5, "lace", "P3", "us", "E", "train")]
    small = prepare(tmp_path, examples(rows, small_version=judged["small_version"].append(pl.Series([1]))))
    assert small.dataset.queries["query_id"].to_list() == ["2", "3", "5"]
    assert counts(small)["judgements that are not of the small version"] == 4
    assert prepare(tmp_path, judged, version="large").dataset.queries["query_id"].to_list() == ["1", "2", "3"]


def test_a_query_in_both_splits_leaves_train(tmp_path: Path) -> None:
    rows = [*JUDGEMENTS, (2, "hat", "P2", "us", "E", "train"), (2, "hat", "P1", "us", "E", "train")]
    prepared = prepare(tmp_path, examples(rows))
    assert counts(prepared)["training judgements of queries in both splits"] == 2
    assert prepared.dataset.queries.filter(pl.col("query_id") == "2")["split"].to_list() == ["test"]
    assert prepared.dataset.qrels.equals(prepare(tmp_path).dataset.qrels)


def test_validation_is_made_of_train_alone_by_hash(tmp_path: Path) -> None:
    rows = [(i, f"query {i}", "P1", "us", "E", "test" if i % 4 == 0 else "train") for i in range(400)]
    queries = prepare(tmp_path, examples(rows), validation=0.2).dataset.queries
    test = queries["query_id"].cast(pl.Int64) % 4 == 0
    assert set(queries.filter(test)["split"]) == {"test"}
    assert queries.filter(~test)["split"].equals(esci.assign(queries.filter(~test)["query_id"], 0.2, 0.0))
    assert 30 <= (queries["split"] == "validation").sum() <= 90  # 60 expected, standard deviation 7


def test_queries_with_irrelevant_documents_alone_are_counted(tmp_path: Path) -> None:
    rows = [*JUDGEMENTS, (6, "sofa", "P1", "us", "I", "train"), (6, "sofa", "P6", "us", "I", "train")]
    prepared = prepare(tmp_path, examples(rows))
    out = prepared.left_out[-1]
    assert tuple(out) == ("judgements of queries without a document of gain above 0", 2, ["6 us:P1", "6 us:P6"])
    assert "6" not in prepared.dataset.queries["query_id"]
    assert "us:P6" not in prepared.dataset.documents["doc_id"]


def test_repeated_and_contradicting_judgements_are_counted(tmp_path: Path) -> None:
    repeated = [*JUDGEMENTS, JUDGEMENTS[0], JUDGEMENTS[0]]
    again = prepare(tmp_path, examples(repeated))
    assert counts(again)["judgements that are there again"] == 2
    assert again.dataset.qrels.equals(prepare(tmp_path).dataset.qrels)
    contradicting = prepare(tmp_path, examples([*JUDGEMENTS, (1, "red shoe", "P1", "us", "E", "train")]))
    assert counts(contradicting)["judgements that contradict each other"] == 2
    assert contradicting.dataset.qrels.filter(pl.col("query_id") == "1")["doc_id"].to_list() == [
        "us:P2",
        "us:P3",
        "us:P4",
    ]


def test_missing_untitled_and_repeated_products_are_counted_and_named(tmp_path: Path) -> None:
    titles = [
        ("P1", "us", None),
        ("P1", "us", "Blue shoe"),  # the row with a title counts
        ("P2", "us", "Red shoe, second"),
        ("P2", "us", "Red shoe"),
        ("P3", "us", "  "),
    ]
    prepared = prepare(tmp_path, None, products(titles))
    assert counts(prepared) == {
        "judgements of other locales": 2,
        "products that are listed again": 2,
        "judgements of products that the products file lacks": 2,
        "judgements of products without a title": 1,
    }
    named = {out.why: out.first for out in prepared.left_out}
    assert named["judgements of products that the products file lacks"] == ["1 us:P4", "2 us:P4"]
    assert named["judgements of products without a title"] == ["1 us:P3"]
    assert prepared.dataset.documents.rows() == [("us:P1", "Blue shoe"), ("us:P2", "Red shoe")]
    assert prepare(tmp_path, None, products(titles[::-1])).dataset.documents.equals(prepared.dataset.documents)


def test_products_that_no_chosen_judgement_names_are_not_read(tmp_path: Path) -> None:
    unused = [("P6", "us", "again"), ("P1", "es", "again")]
    prepared = prepare(tmp_path, None, products([*TITLES, *unused]))
    assert counts(prepared) == {"judgements of other locales": 2}


def test_a_query_without_a_text_is_counted(tmp_path: Path) -> None:
    rows = [*JUDGEMENTS, (7, None, "P1", "us", "E", "train"), (8, " ", "P1", "us", "E", "test")]
    prepared = prepare(tmp_path, examples(rows))
    assert counts(prepared)["judgements of queries without a text"] == 2


def test_what_is_left_out_is_said_aloud(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    prepare(tmp_path, examples([*JUDGEMENTS, *[JUDGEMENTS[0]] * 4]))
    assert caplog.messages == [
        "left out: judgements of other locales: 2 (4 es:P1, 4 es:P5)",
        "left out: judgements that are there again: 4 (1 us:P1, 1 us:P1, 1 us:P1, ..)",
    ]


BAD_ROWS = {
    "examples.parquet, row 9: esci_label 'X' is not one of E, S, C, I": (9, "q", "P1", "us", "X", "train"),
    "examples.parquet, row 9: esci_label None is no value": (9, "q", "P1", "us", None, "train"),
    "examples.parquet, row 9: split 'dev' is not one of train, test": (9, "q", "P1", "us", "E", "dev"),
    "examples.parquet, row 9: query_id None is no value": (None, "q", "P1", "us", "E", "train"),
    "examples.parquet, row 9: product_id None is no value": (9, "q", None, "us", "E", "train"),
    "examples.parquet, row 9: product_locale None is no value": (9, "q", "P1", None, "E", "train"),
    "examples.parquet, row 9: query 'shoes' is another one than in an earlier row": (
        1,
        "shoes",
        "P6",
        "us",
        "E",
        "train",
    ),
}


@pytest.mark.parametrize(("expected", "row"), BAD_ROWS.items(), ids=BAD_ROWS)
def test_a_bad_row_is_named(tmp_path: Path, expected: str, row: tuple) -> None:
    assert message(tmp_path, examples([*JUDGEMENTS, row])).startswith(expected)


def test_a_query_id_of_two_locales_is_refused(tmp_path: Path) -> None:
    judged = examples([*JUDGEMENTS, (1, "red shoe", "P1", "es", "E", "train")])
    expected = "examples.parquet, row 9: product_locale 'es' is another one than in an earlier row of its query_id"
    assert message(tmp_path, judged, locales=["us", "es"]) == expected


@pytest.mark.parametrize("column", ["query", "query_id", "product_id", "product_locale", "esci_label", "split"])
def test_a_missing_column_of_the_examples_is_named(tmp_path: Path, column: str) -> None:
    assert message(tmp_path, examples().drop(column)) == f"examples.parquet: column {column} is missing"


@pytest.mark.parametrize("column", ["product_id", "product_locale", "product_title", "product_color"])
def test_a_missing_column_of_the_products_is_named(tmp_path: Path, column: str) -> None:
    got = message(tmp_path, None, products().drop(column), text=["product_title", "product_color"])
    assert got == f"products.parquet: column {column} is missing"


def test_only_the_columns_in_use_must_be_there(tmp_path: Path) -> None:
    bare = examples().drop("example_id", "large_version", "__index_level_0__")
    listed = products().select("product_title", "product_locale", "product_id")
    assert prepare(tmp_path, bare, listed).dataset.qrels.height == 7
    assert message(tmp_path, bare, version="large") == "examples.parquet: column large_version is missing"


def test_a_column_of_another_type_is_named(tmp_path: Path) -> None:
    assert (
        message(tmp_path, examples(esci_label=pl.lit(3))) == "examples.parquet: column esci_label is Int32, not String"
    )
    categories = examples().with_columns(pl.col("esci_label", "split").cast(pl.Categorical))
    assert prepare(tmp_path, categories).dataset.qrels.equals(prepare(tmp_path).dataset.qrels)


def test_an_unknown_locale_is_named(tmp_path: Path) -> None:
    got = message(tmp_path, locales=["us", "uk"])
    assert got == "examples.parquet: no judgement has the locale 'uk'"


def test_when_nothing_is_left_the_reasons_are_told(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"no judgement is left\njudgements of other locales: 2; .*file lacks: 7"
    ) as error:
        prepare(tmp_path, None, products([("P9", "us", "x")]))
    assert len(str(error.value).splitlines()) == 2


@pytest.mark.parametrize("name", [EXAMPLES, PRODUCTS])
@pytest.mark.parametrize("damage", [b"", b"PAR1", "half", "hole"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str, damage: bytes | str) -> None:
    prepare(tmp_path)
    content = (tmp_path / name).read_bytes()
    holed = content[:4] + b"\xff" * (len(content) // 3) + content[4 + len(content) // 3 :]  # the footer is whole
    new = damage if isinstance(damage, bytes) else content[: len(content) // 2] if damage == "half" else holed
    (tmp_path / name).write_bytes(new)
    with pytest.raises(UserError, match=rf"{name} can't be read: .*\nget the file again"):
        esci.tables(tmp_path / EXAMPLES, tmp_path / PRODUCTS)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"{EXAMPLES} is missing"):
        esci.tables(tmp_path / EXAMPLES, tmp_path / PRODUCTS)


rows = st.lists(
    st.tuples(st.integers(1, 4), st.integers(1, 5), st.sampled_from("ESCI"), st.sampled_from(["us", "es"])), min_size=1
)


@settings(max_examples=30, deadline=None)
@given(rows)
def test_no_judgement_is_lost_without_a_count(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple]) -> None:
    """Rows in = rows out + rows counted; and each rank is one more than the number of better labels of its query."""
    judged = [(f"{locale}{q}", "text", f"P{p}", locale, label, "train") for q, p, label, locale in rows]
    judged += [("us0", "text", "P1", "us", "E", "test"), ("us9", "text", "P1", "us", "E", "train")]
    listed = products([(f"P{p}", "us", f"title {p}" if p < 4 else None) for p in range(1, 5)])
    prepared = prepare(tmp_path_factory.mktemp("esci"), examples(judged), listed)
    products_again = {"products that are listed again": 0}
    lost = sum({**{out.why: out.rows for out in prepared.left_out}, **products_again}.values())
    assert prepared.dataset.qrels.height + lost == len(judged)
    gains: dict[str, list[int]] = {}
    for query, _, _, gain in prepared.dataset.qrels.rows():
        gains.setdefault(query, []).append(gain)
    for query, _, rank, gain in prepared.dataset.qrels.rows():
        assert rank == (len({other for other in gains[query] if other > gain}) + 1 if gain else None)


def test_the_order_of_the_rows_changes_nothing(tmp_path: Path) -> None:
    expected = prepare(tmp_path, locales=["us", "es"]).dataset
    got = prepare(tmp_path, examples(JUDGEMENTS[::-1]), products(TITLES[::-1]), locales=["us", "es"]).dataset
    tables.write(expected, tmp_path / "a")
    tables.write(got, tmp_path / "b")
    for path in (tmp_path / "a").rglob("*.parquet"):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()


@pytest.mark.skipif(not EXTRACT.exists(), reason="the ESCI extract is not beside this checkout")
@pytest.mark.parametrize(("locale", "judged"), [("us", 4099), ("es", 1229), ("jp", 624)])
def test_real_rows_flow(tmp_path: Path, locale: str, judged: int) -> None:
    """`judged` is the number of rows that the locale has in the extract."""
    prepared = Prepared(*esci.tables(EXTRACT / EXAMPLES, EXTRACT / PRODUCTS, locales=[locale], validation=0.05))
    tables.write(prepared.dataset, tmp_path / "set")
    assert tables.read(tmp_path / "set", ["test"]).queries.height > 10
    lost = {out.why: out.rows for out in prepared.left_out if out.rows}
    assert lost["judgements of other locales"] == 5952 - judged
    assert set(lost) <= {
        "judgements of other locales",
        "judgements of queries without a document of gain above 0",
    }
    assert prepared.dataset.qrels.height == judged - lost.get(
        "judgements of queries without a document of gain above 0", 0
    )
    expected = real_lists(locale)
    got: Mapping[str, set] = {}
    for query, document, rank, _ in prepared.dataset.qrels.rows():
        got.setdefault(query, set()).add((document, rank))  # type: ignore[attr-defined]
    assert got == expected


def real_lists(locale: str) -> dict[str, set]:
    """Oracle: the tiers of the extract's queries, without polars' expressions."""
    lists: dict[str, dict[str, str]] = {}
    for row in pl.read_parquet(EXTRACT / EXAMPLES).iter_rows(named=True):
        if row["product_locale"] == locale:
            lists.setdefault(str(row["query_id"]), {})[f"{locale}:{row['product_id']}"] = row["esci_label"]
    expected = {}
    for query, labels in lists.items():
        tiers = [label for label in "ESC" if label in labels.values()]
        if tiers:
            ranks = {label: place for place, label in enumerate(tiers, start=1)}
            expected[query] = {(document, ranks.get(label)) for document, label in labels.items()}
    return expected


@pytest.mark.skipif(os.name != "posix", reason="limits of a process are POSIX")
def test_a_disk_without_room_leaves_nothing(tmp_path: Path) -> None:
    """Stands in for a full disk: a process that may write no file above 4,000 bytes."""
    script = f"""
import resource, signal
from pathlib import Path
from arrange.data import esci_sample
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
esci_sample.write(Path({str(tmp_path)!r}) / "esci", 500, seed=1)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 1
    assert "OSError" in done.stderr
    assert list(tmp_path.iterdir()) == []
