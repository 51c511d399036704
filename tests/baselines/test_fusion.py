from fractions import Fraction

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from arrange.baselines.fusion import reciprocal_rank
from arrange.evaluation.runs import SCHEMA, check_run

rankings = st.dictionaries(st.sampled_from("pqr"), st.lists(st.sampled_from("abcdefp"), unique=True, max_size=7))


def run_of(lists):
    rows = [(q, d, n, -float(n)) for q, docs in sorted(lists.items()) for n, d in enumerate(docs, 1)]
    return pl.DataFrame(rows, SCHEMA, orient="row")


@given(st.lists(rankings, min_size=2, max_size=4), st.integers(1, 60), st.integers(1, 8))
def test_the_sums_and_the_order_are_those_of_exact_fractions(found, k, depth):
    """Short, empty and missing lists among them; equal sums by doc_id; a document of the query's id too."""
    fused = reciprocal_rank([run_of(lists) for lists in found], k=k, depth=depth)
    check_run(fused, "fused")
    expected = []
    for query in "pqr":
        sums = {}
        for lists in found:
            for rank, doc in enumerate(lists.get(query, []), 1):
                sums[doc] = sums.get(doc, 0) + Fraction(1, k + rank)
        ordered = sorted(sums, key=lambda doc: (-sums[doc], doc))
        expected += [(query, doc, rank, float(sums[doc])) for rank, doc in enumerate(ordered[:depth], 1)]
    close = [(q, d, n) for q, d, n, _ in fused.rows()] == [(q, d, n) for q, d, n, _ in expected]
    ties = len({round(score, 14) for *_, score in expected}) < len(expected)
    assert close or ties  # floats can't tell sums apart that differ by less than they round
    assert [round(score, 14) for *_, score in fused.rows()] == [round(score, 14) for *_, score in expected]


def test_by_hand():
    first, second = {"q": ["a", "b"]}, {"q": ["b", "c"], "r": ["x"]}
    assert reciprocal_rank([run_of(first), run_of(second)]).rows() == [
        ("q", "b", 1, 1 / 62 + 1 / 61),
        ("q", "a", 2, 1 / 61),
        ("q", "c", 3, 1 / 62),
        ("r", "x", 1, 1 / 61),
    ]


def test_equal_ranks_are_a_tie_whichever_runs_have_them():
    lists = [["a", "b", "c"], ["b", "c", "a"], ["c", "a", "b"]]
    fused = reciprocal_rank([run_of({"q": docs}) for docs in lists])
    assert fused["doc_id"].to_list() == ["a", "b", "c"]
    assert fused["score"].n_unique() == 1
