from itertools import chain, permutations, product
from math import log2

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from arrange.errors import UserError
from arrange.ranking.measures import MEASURES, evaluate, nearest_documents, summary
from arrange.ranking.runs import SCHEMA

DOCUMENTS = [f"d{i:02}" for i in range(14)]


def qrels_of(lists):
    """lists: query_id -> {doc_id: rank or None}."""
    rows = [(q, d, r, round(1e6 / r) if r else 0) for q, ranks in lists.items() for d, r in ranks.items()]
    schema = {"query_id": pl.String, "doc_id": pl.String, "rank": pl.Int32, "gain": pl.Int32}
    return pl.DataFrame(rows, schema=schema, orient="row")


def run_of(lists):
    rows = [(q, d, i + 1, -float(i)) for q, docs in lists.items() for i, d in enumerate(docs)]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def only(run, ranks):
    return evaluate(run_of({"q": run}), qrels_of({"q": ranks})).row(0, named=True)


def test_by_hand():
    found = only(["x", "b", "a", "n", "c"], {"a": 1, "b": 2, "c": 3, "d": 4, "n": None})
    ideal = 1 + (1 / 2) / log2(3) + (1 / 3) / 2 + (1 / 4) / log2(5)
    assert found == {
        "query_id": "q",
        "nDCG@10": pytest.approx(((1 / 2) / log2(3) + 1 / 2 + (1 / 3) / log2(6)) / ideal, abs=1e-5),
        "R@10": 3 / 4,
        "RR": 1 / 2,
        "overlap@1": 0,
        "overlap@3": pytest.approx(2 / 3),  # b and a of a, b, c
        "overlap@5": pytest.approx(3 / 4),  # of four documents
        "tau_b": pytest.approx((5 - 1) / 6),  # of six pairs a, b alone is swapped; d comes last, as it should
    }


def test_ties_at_the_cut_count_as_far_as_they_fit():
    ranks = {"a": 1, "b": 1, "c": 2, "d": 2, "e": 2}
    assert only(["b", "x", "y"], ranks)["overlap@1"] == 1
    assert only(["c", "a"], ranks)["overlap@1"] == 0
    assert only(["c", "d", "e"], ranks)["overlap@3"] == pytest.approx(1 / 3)
    assert only(["a", "e", "b"], ranks)["overlap@3"] == 1


@st.composite
def cases(draw):
    count = draw(st.integers(1, 6))
    tiers = draw(st.lists(st.integers(1, 4), min_size=count, max_size=count))
    dense = {tier: i + 1 for i, tier in enumerate(sorted(set(tiers)))}
    ranks = dict(zip(DOCUMENTS, (dense[tier] for tier in tiers), strict=False))
    negatives = {DOCUMENTS[12]: None} if draw(st.booleans()) else {}
    run = draw(st.permutations(DOCUMENTS))[: draw(st.integers(1, 14))]
    return list(run), ranks | negatives


@given(cases())
@settings(max_examples=150, deadline=None)
def test_overlap_is_the_best_over_all_orders_of_the_tied(case):
    run, ranks = case
    tiers = {}
    for doc, rank in ranks.items():
        if rank:
            tiers.setdefault(rank, []).append(doc)
    orders = [list(chain(*order)) for order in product(*(permutations(tiers[r]) for r in sorted(tiers)))]
    found = only(run, ranks)
    for k in (1, 3, 5):
        best = max(len(set(order[:k]) & set(run[:k])) for order in orders)
        assert found[f"overlap@{k}"] == pytest.approx(best / min(k, len(orders[0])))


@given(cases())
@settings(max_examples=150, deadline=None)
def test_ndcg_is_that_of_sklearn(case):
    run, ranks = case
    gains = [round(1e6 / ranks[d]) if ranks.get(d) else 0 for d in DOCUMENTS]
    scores = [-run.index(d) if d in run else -100 for d in DOCUMENTS]
    # sklearn ranks the documents too that the run lacks: it may credit gains there, below the run.
    if len(run) >= 10 or all(d in run for d in ranks):
        assert only(run, ranks)["nDCG@10"] == pytest.approx(ndcg_score([gains], [scores], k=10), abs=1e-6)


@given(cases())
@settings(max_examples=100, deadline=None)
def test_tau_counts_pairs(case):
    run, ranks = case
    true = [(rank, run.index(d) if d in run else 99) for d, rank in ranks.items() if rank]
    pairs = [(np.sign(a[0] - b[0]), np.sign(a[1] - b[1])) for a in true for b in true]
    untied = [sum(s != 0 for s in side) for side in zip(*pairs, strict=True)]
    found = only(run, ranks)["tau_b"]
    if untied[0] == 0:
        assert found is None
    else:
        expected = sum(x * y for x, y in pairs) / np.sqrt(max(untied[0] * untied[1], 1))
        assert found == pytest.approx(expected, abs=1e-12)


def test_a_perfect_run_scores_one_and_its_reverse_has_tau_minus_one():
    ranks = {d: i + 1 for i, d in enumerate(DOCUMENTS[:6])}
    assert [only(list(ranks), ranks)[name] for name in MEASURES] == pytest.approx([1] * len(MEASURES))
    assert only(list(ranks)[::-1], ranks)["tau_b"] == pytest.approx(-1)


def test_a_query_that_the_run_lacks_scores_zero_and_one_that_the_qrels_lack_does_not_count():
    found = evaluate(run_of({"b": ["x"], "c": ["x"]}), qrels_of({"b": {"x": 1, "y": 2}, "a": {"x": 1, "y": 2}}))
    assert found["query_id"].to_list() == ["a", "b"]
    assert found.row(0) == ("a", *[0.0] * len(MEASURES))
    assert found.row(1)[1:4] == (pytest.approx(1 / (1 + 0.5 / log2(3))), 0.5, 1.0)


def test_nothing_in_common_is_an_error():
    with pytest.raises(UserError, match="no query in common"):
        evaluate(run_of({"a": ["x"]}), qrels_of({"b": {"x": 1}}))


def table(values, cluster):
    per_query = pl.DataFrame({"query_id": [f"q{i}" for i in range(len(values))]}).with_columns(
        pl.Series(name, values, dtype=pl.Float64) for name in MEASURES
    )
    return per_query, per_query.select("query_id", cluster=pl.Series(cluster))


def test_the_cluster_of_a_query_is_its_smallest_document_of_rank_one():
    qrels = qrels_of({"a": {"z": 1, "y": 1, "b": 2}, "b": {"c": 1}})
    assert nearest_documents(qrels).rows() == [("a", "y"), ("b", "c")]


def test_the_mean_is_over_queries_and_skips_nulls():
    found = summary(*table([1.0, 0.5, None, 0.0], ["x", "x", "y", "y"]))
    assert found["measure"].to_list() == list(MEASURES)
    assert found["mean"].to_list() == pytest.approx([0.5] * len(MEASURES))
    assert found["queries"].to_list() == [3] * len(MEASURES)


def test_the_interval_is_that_of_clusters_not_of_queries():
    """100 queries in 4 clusters of equal values are 4 independent ones: the bootstrap of 4 numbers."""
    values, clusters = [float(i // 25) for i in range(100)], [f"c{i // 25}" for i in range(100)]
    found = summary(*table(values, clusters), draws=2000, seed=3).row(0, named=True)
    exact = np.quantile([np.mean(pick) for pick in product(range(4), repeat=4)], [0.025, 0.975])
    assert [found["low"], found["high"]] == pytest.approx(exact, abs=0.13)
    alone = summary(*table(values, range(100)), draws=2000, seed=3).row(0, named=True)
    assert alone["high"] - alone["low"] == pytest.approx(2 * 1.96 * np.std(values) / 10, rel=0.1)


def test_the_seed_decides_the_interval():
    values = np.random.default_rng(0).random(50)
    low = [summary(*table(values, range(50)), draws=50, seed=seed)["low"][0] for seed in (0, 0, 1)]
    assert low[0] == low[1] != low[2]
