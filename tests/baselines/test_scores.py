import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from arrange.baselines.scores import rank
from arrange.evaluation.runs import check_run

DOC_IDS = ["d", "b", "c", "a", "q1"]
CASES = st.tuples(
    st.lists(st.lists(st.sampled_from([-np.inf, -1.0, 0.0, 2.0]), min_size=5, max_size=5), min_size=2, max_size=2),
    st.integers(1, 6),
    st.none() | st.sets(st.tuples(st.sampled_from(["q0", "q1", "other"]), st.sampled_from(DOC_IDS))),
)


@settings(max_examples=150, deadline=None)
@given(CASES)
def test_a_run_is_the_sorted_list_of_all_pairs(case):
    table, depth, pairs = case
    schema = {"query_id": pl.String, "doc_id": pl.String}
    candidates = None if pairs is None else pl.DataFrame(list(pairs), schema, orient="row")
    run = rank(["q0", "q1"], DOC_IDS, lambda q, rows: np.array(table[q])[rows], candidates=candidates, depth=depth)
    check_run(run, "run")
    expected = []
    for query, scores in zip(["q0", "q1"], table, strict=True):
        found = [
            (-score, doc_id)
            for doc_id, score in zip(DOC_IDS, scores, strict=True)
            if score > -np.inf and (pairs is None or (query, doc_id) in pairs)
        ]
        expected += [(query, doc, place + 1, -score) for place, (score, doc) in enumerate(sorted(found)[:depth])]
    assert run.rows() == expected
