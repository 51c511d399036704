import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from arrange.data.tables import Dataset
from arrange.evaluation import excerpts
from arrange.evaluation.runs import SCHEMA, check_run

NO_GROUPS = pl.DataFrame(schema=dict.fromkeys(("query_id", "grouping", "group"), pl.String))
QUERIES = pl.DataFrame({"query_id": ["a", "b"], "text": ["query a", "query b"], "split": ["test", "test"]})
DOCUMENTS = pl.DataFrame({"doc_id": ["x", "y", "z"], "text": ["text x", "text y", "text z"]})
QRELS = pl.DataFrame(
    [("a", "y", 1, 10), ("a", "x", 2, 1), ("a", "z", None, 0), ("b", "z", 1, 10), ("b", "x", 1, 10)],
    {"query_id": pl.String, "doc_id": pl.String, "rank": pl.Int32, "gain": pl.Int32},
    orient="row",
)
DATASET = Dataset(QUERIES, DOCUMENTS, QRELS)


def quality(**values):
    return pl.DataFrame({"query_id": list(values), "quality": list(values.values())})


def test_queries_are_the_middles_of_equal_parts_of_the_list_by_quality():
    found = excerpts.choose(quality(a=0.1, b=0.9, c=0.5, d=0.4, e=0.5, f=0.0), NO_GROUPS, 3)
    assert found == ["c", "d", "f"]  # of b c | e d | a f, c before e by its name


def test_groups_have_their_share_and_come_in_order():
    values = {f"q{n}": n / 10 for n in range(9)}
    groups = pl.DataFrame({"query_id": list(values), "grouping": "locale", "group": ["us"] * 6 + ["jp"] * 3})
    # jp: q8 q7 q6, us: q5 q4 q3 | q2 q1 q0
    assert excerpts.choose(quality(**values), groups, 3) == ["q7", "q4", "q1"]


def test_of_several_groupings_the_first_by_name_decides_first():
    groups = pl.DataFrame(
        [("a", "words", "1"), ("a", "locale", "us"), ("b", "words", "2"), ("b", "locale", "jp")],
        ["query_id", "grouping", "group"],
        orient="row",
    )
    assert excerpts.choose(quality(a=0.5, b=0.5), groups, 2) == ["b", "a"]


@given(st.lists(st.floats(0, 1), max_size=60), st.integers(1, 30))
def test_each_query_once_and_as_many_as_there_are(values, count):
    named = quality(**{f"q{n}": value for n, value in enumerate(values)}).cast(
        {"query_id": pl.String, "quality": float}
    )
    found = excerpts.choose(named, NO_GROUPS, count)
    assert len(set(found)) == len(found) == min(count, len(values))
    by_id = dict(named.iter_rows())
    assert [by_id[one] for one in found] == sorted((by_id[one] for one in found), reverse=True)
    assert found == excerpts.choose(named.reverse(), NO_GROUPS, count)


def test_an_excerpt_has_texts_places_and_judgements_in_the_order_of_queries_and_places():
    run = pl.DataFrame(
        [("a", "z", 1, -0.5), ("a", "x", 2, -1.5), ("b", "y", 1, -0.25), ("c", "x", 1, 0.0)], SCHEMA, orient="row"
    )
    assert excerpts.excerpt("item", run, DATASET, ["b", "a"]).rows() == [
        ("item", "b", "query b", 1, "text y", -0.25, None, None),
        ("item", "a", "query a", 1, "text z", -0.5, None, 0),
        ("item", "a", "query a", 2, "text x", -1.5, 2, 1),
    ]


def test_the_true_lists_are_a_run_of_their_own():
    true = excerpts.truth(QRELS)
    check_run(true, "truth")
    assert excerpts.excerpt(None, true, DATASET, ["a", "b"]).select(
        "system", "query_id", "place", "document", "rank"
    ).rows() == [
        (None, "a", 1, "text y", 1),
        (None, "a", 2, "text x", 2),
        (None, "b", 1, "text x", 1),
        (None, "b", 2, "text z", 1),
    ]
