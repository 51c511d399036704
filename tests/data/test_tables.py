from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arrange.data.tables import (
    LISTS,
    SCHEMAS,
    TIERS,
    About,
    Dataset,
    check,
    headline,
    read,
    read_about,
    read_groups,
    write,
)
from arrange.errors import UserError

Rows = Sequence[tuple]
QUERIES: Rows = [("q1", "one", "train"), ("q2", "two", "test"), ("q3", "three", "validation")]
DOCUMENTS: Rows = [("d1", "a"), ("d2", "b"), ("d3", "c")]
QRELS: Rows = [
    ("q1", "d2", 1, 1000000),
    ("q1", "d1", 1, 1000000),
    ("q1", "d3", None, 0),
    ("q2", "d3", 1, 1000000),
    ("q2", "d1", 2, 500000),
    ("q3", "d1", 1, 1000000),
]


def dataset(queries: Rows = QUERIES, documents: Rows = DOCUMENTS, qrels: Rows = QRELS) -> Dataset:
    return Dataset(
        pl.DataFrame(queries, SCHEMAS["queries"], orient="row"),
        pl.DataFrame(documents, SCHEMAS["documents"], orient="row"),
        pl.DataFrame(qrels, SCHEMAS["qrels"], orient="row"),
    )


def broken(table: str, row: int, *values: object) -> Dataset:
    """The good data set with one row replaced, or one added when row is -1."""
    rows = {"queries": QUERIES, "documents": DOCUMENTS, "qrels": QRELS}
    changed = list(rows[table])
    changed[row if row >= 0 else len(changed) :] = [values, *changed[row + 1 :]] if row >= 0 else [values]
    return dataset(**{**rows, table: changed})


def test_a_good_data_set_passes_whatever_the_order_of_its_rows() -> None:
    check(dataset())
    check(dataset(QUERIES[::-1], DOCUMENTS[::-1], QRELS[::-1]))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (broken("queries", 1, "q2", None, "test"), "queries, row 1: text is null: query_id 'q2', text None"),
        (broken("documents", 0, None, "a"), "documents, row 0: doc_id is null: doc_id None"),
        (
            broken("qrels", 5, "q3", "d1", 1, None),
            "qrels, row 5: gain is null: query_id 'q3', doc_id 'd1', gain None",
        ),
        (
            broken("queries", -1, "q1", "again", "test"),
            "queries, row 0: query_id is there more than once: query_id 'q1' (and 1 more)",
        ),
        (
            broken("documents", -1, "d1", "a"),
            "documents, row 0: doc_id is there more than once: doc_id 'd1' (and 1 more)",
        ),
        (
            broken("qrels", -1, "q1", "d3", 2, 5),
            "qrels, row 2: query_id and doc_id is there more than once: query_id 'q1', doc_id 'd3' (and 1 more)",
        ),
        (
            broken("queries", 1, "q2", "two", "dev"),
            "queries, row 1: split is not one of train, validation, test: query_id 'q2', split 'dev'",
        ),
        (
            broken("qrels", -1, "q9", "d3", 1, 1),
            "qrels, row 6: query_id is not in the queries: query_id 'q9', doc_id 'd3'",
        ),
        (
            broken("qrels", -1, "q3", "d9", 2, 1),
            "qrels, row 6: doc_id is not in the documents: query_id 'q3', doc_id 'd9'",
        ),
        (
            broken("qrels", 2, "q1", "d3", None, -1),
            "qrels, row 2: gain is below 0: query_id 'q1', doc_id 'd3', gain -1",
        ),
        (
            broken("qrels", 5, "q3", "d1", None, 0),
            "queries, row 2: query_id is without a ranked document: query_id 'q3'",
        ),
        (
            broken("qrels", 4, "q2", "d1", 3, 5),
            "qrels, row 4: rank is not dense from 1 within its query: query_id 'q2', doc_id 'd1', rank 3",
        ),
        (
            broken("qrels", 5, "q3", "d1", 0, 5),
            "qrels, row 5: rank is not dense from 1 within its query: query_id 'q3', doc_id 'd1', rank 0",
        ),
    ],
)
def test_what_breaks_the_contract_is_named(bad: Dataset, message: str) -> None:
    with pytest.raises(UserError) as error:
        check(bad)
    assert error.value.what == message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda q: q.drop("rank"), "qrels: column rank is missing"),
        (lambda q: q.with_columns(pl.col("rank").cast(pl.Int64)), "qrels: column rank is Int64, not Int32"),
        (lambda q: q.with_columns(weight=1.0), "qrels: column weight is unknown"),
        (lambda q: q.select("doc_id", "query_id", "rank", "gain"), "qrels: the columns are in another order"),
    ],
)
def test_a_wrong_schema_is_named(change: Callable[[pl.DataFrame], pl.DataFrame], message: str) -> None:
    good = dataset()
    with pytest.raises(UserError, match=message):
        check(good._replace(qrels=change(good.qrels)))


def test_the_test_split_is_only_in_its_own_files(tmp_path: Path) -> None:
    write(dataset(), tmp_path / "set")
    assert pl.read_parquet(tmp_path / "set/queries.parquet")["query_id"].to_list() == ["q1", "q3"]
    assert pl.read_parquet(tmp_path / "set/qrels.parquet")["query_id"].unique().sort().to_list() == [
        "q1",
        "q3",
    ]
    (tmp_path / "set/test/queries.parquet").write_bytes(b"not to be read")
    assert read(tmp_path / "set").queries["split"].to_list() == ["train", "validation"]
    assert read(tmp_path / "set", ["validation"]).qrels["query_id"].to_list() == ["q3"]
    with pytest.raises(UserError, match=r"test/queries\.parquet is damaged"):
        read(tmp_path / "set", ["test"])


def test_rows_are_sorted_with_negatives_last(tmp_path: Path) -> None:
    write(dataset(QUERIES[::-1], DOCUMENTS[::-1], QRELS[::-1]), tmp_path / "set")
    got = read(tmp_path / "set", ["train", "validation", "test"])
    assert got.queries.rows() == QUERIES
    assert got.documents.rows() == DOCUMENTS
    assert [row[:3] for row in got.qrels.rows()] == [
        ("q1", "d1", 1),
        ("q1", "d2", 1),
        ("q1", "d3", None),
        ("q2", "d3", 1),
        ("q2", "d1", 2),
        ("q3", "d1", 1),
    ]
    assert read(tmp_path / "set", ["test"]).qrels.rows() == QRELS[3:5]


def test_the_same_tables_in_another_order_give_the_same_bytes(tmp_path: Path) -> None:
    write(dataset(), tmp_path / "a")
    write(dataset(QUERIES[::-1], DOCUMENTS[::-1], QRELS[::-1]), tmp_path / "b")
    names = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.parquet"))
    assert [str(name) for name in names] == [
        "documents.parquet",
        "qrels.parquet",
        "queries.parquet",
        "test/qrels.parquet",
        "test/queries.parquet",
    ]
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_refused_data_set_leaves_the_older_one(tmp_path: Path) -> None:
    write(dataset(), tmp_path / "set")
    with pytest.raises(UserError):
        write(broken("qrels", 2, "q1", "d3", None, -1), tmp_path / "set")
    assert read(tmp_path / "set").queries.height == 2
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_file_is_named(tmp_path: Path, share: float) -> None:
    write(dataset(), tmp_path / "set")
    path = tmp_path / "set/qrels.parquet"
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(UserError, match=r"set/qrels\.parquet is damaged") as error:
        read(tmp_path / "set")
    assert len(str(error.value).splitlines()) == 2


def test_a_truncated_file_of_groups_is_named(tmp_path: Path) -> None:
    (tmp_path / "groups.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"groups\.parquet is damaged: .*\n"):
        read_groups(tmp_path)


def test_a_missing_file_or_column_is_named(tmp_path: Path) -> None:
    write(dataset(), tmp_path / "a [set]")
    path = tmp_path / "a [set]/documents.parquet"
    path.unlink()
    with pytest.raises(UserError, match=r"documents\.parquet is missing"):
        read(tmp_path / "a [set]")
    dataset().documents.drop("text").write_parquet(path)
    with pytest.raises(UserError, match=r"documents\.parquet: column text is missing"):
        read(tmp_path / "a [set]")


def test_what_a_data_set_is_comes_back(tmp_path: Path) -> None:
    about = About(
        title="Shoes.",
        note="No hats.",
        source="a shop",
        measures=("nDCG@10", "AP"),
        labels={3: "good", 0: "bad"},
        left_out={"no text": {"rows": 1, "first": ["q9"]}},
    )
    write(dataset(), tmp_path / "set", about=about)
    assert read_about(tmp_path / "set") == about
    assert list(read_about(tmp_path / "set").labels) == [3, 0]


def test_a_data_set_without_a_title_has_its_folders_name(tmp_path: Path) -> None:
    write(dataset(), tmp_path / "set")
    assert read_about(tmp_path / "set") == About(title="Data set `set`.", measures=LISTS)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"title": "a", "labels": {"x": "y"}, "measures": []}'])
def test_a_damaged_about_is_named(tmp_path: Path, content: str) -> None:
    write(dataset(), tmp_path / "set")
    (tmp_path / "set/about.json").write_text(content)
    with pytest.raises(UserError, match=r"about\.json is damaged"):
        read_about(tmp_path / "set")
    (tmp_path / "set/about.json").unlink()
    with pytest.raises(UserError, match=r"about\.json is missing"):
        read_about(tmp_path / "set")


@pytest.mark.parametrize(
    ("gains", "measures"),
    [([1000, 5], TIERS), ([1001, 1000], LISTS), ([10**6, 5 * 10**5], LISTS), ([1], TIERS)],
)
def test_headline_measures_are_those_of_grades_up_to_a_gain_of_1000(gains: list[int], measures: tuple[str]) -> None:
    qrels = pl.DataFrame({"query_id": "q", "gain": gains})
    assert headline(qrels) == measures
    assert headline(pl.concat([qrels, pl.DataFrame({"query_id": "r", "gain": [10**6]})])) == measures


lists = st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=6), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None)
@given(lists)
def test_ranks_pass_exactly_when_they_are_dense(ranks: list[list[int]]) -> None:
    """0 stands for a judged negative."""
    queries = [(f"q{i}", "text", "train") for i in range(len(ranks))]
    documents = [(f"d{j}", "text") for j in range(6)]
    qrels = [(f"q{i}", f"d{j}", rank or None, 0) for i, row in enumerate(ranks) for j, rank in enumerate(row)]
    dense = all(set(row) - {0} == set(range(1, max(row) + 1)) and max(row) for row in ranks)
    if dense:
        check(dataset(queries, documents, qrels))
    else:
        with pytest.raises(UserError, match=r"rank is not dense|without a ranked document"):
            check(dataset(queries, documents, qrels))
