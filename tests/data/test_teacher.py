from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arrange.data import tables, teacher
from arrange.data.tables import SCHEMAS, Dataset
from arrange.errors import UserError
from arrange.models import vectors


def dataset(queries: Sequence[str], documents: Sequence[str], split: str = "train") -> Dataset:
    """Queries q0, q1, .. and documents d00, d01, ..; every query has the first document."""
    ids = [f"q{i}" for i in range(len(queries))]
    return Dataset(
        pl.DataFrame({"query_id": ids, "text": queries, "split": [split] * len(ids)}, SCHEMAS["queries"]),
        pl.DataFrame({"doc_id": [f"d{j:02}" for j in range(len(documents))], "text": documents}, SCHEMAS["documents"]),
        pl.DataFrame({"query_id": ids, "doc_id": "d00", "rank": 1, "gain": 1}).cast(SCHEMAS["qrels"]),
    )


def numbers(texts: Sequence[str]) -> np.ndarray:
    """A teacher that reads "3 -1" as the vector (3, -1)."""
    return np.array([[float(part) for part in text.split()] for text in texts], np.float32)


def test_places_are_the_papers() -> None:
    assert teacher.places(1_200_000, 101, 10_000) == [1, *range(100, 10_001, 100)]
    assert teacher.places(2_000, 101, 10_000) == [1, *range(20, 2_001, 20)]


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 400), st.integers(1, 120), st.integers(2, 500))
def test_places_rise_from_the_first_to_the_last(documents: int, length: int, deepest: int) -> None:
    places = teacher.places(documents, length, deepest)
    last = min(documents, deepest)
    assert places == sorted(set(places))
    assert places[0] == 1
    assert len(places) == min(length, last)
    if length > 1:
        assert places[-1] == last
        gaps = np.diff(places[1:])
        assert gaps.size == 0 or gaps.max() - gaps.min() <= 1 or len(places) > last / 2


def test_the_list_is_the_teachers_order_at_the_places() -> None:
    data = dataset(["1 0", "0 -1"], ["1 5", "3 2", "2 9", "5 0", "4 7"])
    relabelled, left_out = teacher.relabel(data, numbers, length=3, deepest=10_000)  # places 1, 2, 5
    assert teacher.places(5, 3, 10_000) == [1, 2, 5]
    # by the first coordinate: d03 d04 d01 d02 d00; by the second, negated: d03 d01 d00 d04 d02
    assert relabelled.qrels.rows() == [
        ("q0", "d03", 1, 1000000),
        ("q0", "d04", 2, 500000),
        ("q0", "d00", 3, 333333),
        ("q1", "d03", 1, 1000000),
        ("q1", "d01", 2, 500000),
        ("q1", "d02", 3, 333333),
    ]
    tables.check(relabelled)
    assert left_out[0].rows == 0


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-2, 2), min_size=2, max_size=30), st.integers(2, 9), st.integers(2, 40))
def test_equal_products_go_by_document(values: list[int], length: int, deepest: int) -> None:
    """Oracle: Python's stable sort of the documents, sorted by id before."""
    data = dataset(["1", "-1"], [str(value) for value in values])
    relabelled, _ = teacher.relabel(data, numbers, length, deepest)
    for query, sign in (("q0", 1), ("q1", -1)):
        order = sorted(range(len(values)), key=lambda j: (-sign * values[j], j))
        expected = [f"d{order[place - 1]:02}" for place in teacher.places(len(values), length, deepest)]
        assert relabelled.qrels.filter(pl.col("query_id") == query)["doc_id"].to_list() == expected


def test_more_queries_than_a_chunk_holds() -> None:
    rng = np.random.default_rng(1)
    texts = [[f"{a} {b}" for a, b in rng.integers(-99, 99, size=(count, 2))] for count in (2 * teacher.CHUNK + 5, 40)]
    relabelled, _ = teacher.relabel(dataset(*texts), numbers, length=6, deepest=20)
    product_QD = numbers(texts[0]) @ numbers(texts[1]).T
    first = relabelled.qrels.filter(pl.col("rank") == 1)
    assert first.height == len(texts[0])
    assert relabelled.qrels["gain"].to_list()[:6] == [1000000, 500000, 333333, 250000, 200000, 166667]
    for query, document in first.select("query_id", "doc_id").iter_rows():
        row = product_QD[int(query[1:])]
        assert row[int(document[1:])] == row.max()


def test_a_query_that_the_teacher_does_not_know_is_counted() -> None:
    relabelled, left_out = teacher.relabel(dataset(["0 0", "1 1"], ["1 2", "3 4"]), numbers, 2, 10)
    assert [tuple(out) for out in left_out] == [("queries without a word that the teacher knows", 1, ["q0"])]
    assert relabelled.queries["query_id"].to_list() == ["q1"]
    tables.check(relabelled)


def test_a_catalogue_of_one_document_has_no_order() -> None:
    with pytest.raises(UserError, match="there are 1"):
        teacher.relabel(dataset(["1"], ["1"]), numbers, 2, 10)


def test_test_queries_teach_the_teacher_nothing() -> None:
    train, test = dataset(["red shoe"], ["a shoe", "a hat"]), dataset(["secret words"], ["a shoe"], "test")
    both = train._replace(queries=pl.concat([train.queries, test.queries]))
    assert teacher.texts(both) == ["a shoe", "a hat", "red shoe"]


def test_tfidf_svd_is_a_teacher() -> None:
    data = dataset(["red shoe", "straw hat"], ["red shoe", "red hat", "straw hat", "blue lamp"])
    by_words = vectors.VectoriserSettings(vectors.TFIDF_SVD, 4, 1).fit(teacher.texts(data))
    relabelled, _ = teacher.relabel(data, by_words, length=4, deepest=10)
    best = relabelled.qrels.filter(pl.col("rank") == 1)
    assert best.select("query_id", "doc_id").rows() == [("q0", "d00"), ("q1", "d02")]
    again, _ = teacher.relabel(data, by_words, length=4, deepest=10)
    assert again.qrels.equals(relabelled.qrels)
