from itertools import chain, permutations, product
from math import log2

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ir_measures import AP, RR, R, Success, iter_calc, nDCG
from scipy.stats import kendalltau
from sklearn.metrics import dcg_score, ndcg_score

from arrange.evaluation import measures
from arrange.evaluation.measures import MEASURES, evaluate, nearest_documents
from arrange.evaluation.runs import SCHEMA

EXPONENTIAL = measures.EXPONENTIAL
DOCUMENTS = [f"d{i:02}" for i in range(14)]


def qrels_of(lists, gain=lambda rank: round(1e6 / rank)):
    """lists: query_id -> {doc_id: rank or None}; of `gain` a function of the rank."""
    rows = [(q, d, r, gain(r) if r else 0) for q, ranks in lists.items() for d, r in ranks.items()]
    schema = {"query_id": pl.String, "doc_id": pl.String, "rank": pl.Int32, "gain": pl.Int32}
    return pl.DataFrame(rows, schema=schema, orient="row")


def run_of(lists):
    rows = [(q, d, i + 1, -float(i)) for q, docs in lists.items() for i, d in enumerate(docs)]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def only(run, ranks, **gain):
    return evaluate(run_of({"q": run}), qrels_of({"q": ranks}, **gain)).row(0, named=True)


def test_by_hand():
    found = only(["x", "b", "a", "n", "c"], {"a": 1, "b": 2, "c": 3, "d": 4, "n": None})
    ideal = 1 + (1 / 2) / log2(3) + (1 / 3) / 2 + (1 / 4) / log2(5)
    expected = {
        "query_id": "q",
        "nDCG@10": pytest.approx(((1 / 2) / log2(3) + 1 / 2 + (1 / 3) / log2(6)) / ideal, abs=1e-5),
        EXPONENTIAL: None,
        "AP": pytest.approx((1 / 2 + 2 / 3 + 3 / 5) / 4),
        "R@10": 3 / 4,
        "RR": 1 / 2,
        "hit@1": 0,
        "judged@10": 4 / 10,  # four of five in all, and five places are empty
        "overlap@1": 0,
        "overlap@3": pytest.approx(2 / 3),  # b and a of a, b, c
        "overlap@5": pytest.approx(3 / 4),  # of four documents
        "overlap@10": pytest.approx(3 / 4),
        "tau_b": pytest.approx((5 - 1) / 6),  # of six pairs a, b alone is swapped; d comes last, as it should
        "pairs": pytest.approx((5 + 2) / 10),  # five of these; n is below a and b, above c and d
        "CVR": 1,
    }
    assert {name: found[name] for name in expected} == expected


def test_ties_at_the_cut_count_as_far_as_they_fit():
    ranks = {"a": 1, "b": 1, "c": 2, "d": 2, "e": 2}
    assert only(["b", "x", "y"], ranks)["overlap@1"] == 1
    assert only(["c", "a"], ranks)["overlap@1"] == 0
    assert only(["c", "d", "e"], ranks)["overlap@3"] == pytest.approx(1 / 3)
    assert only(["a", "e", "b"], ranks)["overlap@3"] == 1


def one(measure, run, ranks, *arguments, **gain):
    """The value of one measure's own function."""
    return measure(run_of({"q": run}), qrels_of({"q": ranks}, **gain), *arguments).drop("query_id").item()


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
    for k in (1, 3, 5):
        best = max(len(set(order[:k]) & set(run[:k])) for order in orders)
        assert one(measures.overlap, run, ranks, k) == pytest.approx(best / min(k, len(orders[0])))


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
@settings(max_examples=60, deadline=None)
def test_ndcg_with_exponential_gains_is_that_of_sklearn(case):
    """As ir_measures defines it (which would start a Perl script for it)."""
    run, ranks = case
    found = one(measures.exponential_ndcg, run, ranks, gain=lambda rank: 4 - rank)
    gains = [2 ** (4 - ranks[d]) - 1 if ranks.get(d) else 0 for d in DOCUMENTS]
    seen = [gain if d in run[:10] else 0 for d, gain in zip(DOCUMENTS, gains, strict=True)]
    scores = [-run.index(d) if d in run else -100 for d in DOCUMENTS]
    # dcg_score of what the run shows; documents that it lacks gain nothing
    reached, best = dcg_score([seen], [scores], k=10), dcg_score([gains], [gains], k=10)
    assert found == pytest.approx(reached / best if best else 0, abs=1e-9)


def test_the_best_possible_first_10_are_10_of_a_longer_list():
    ranks = dict.fromkeys(DOCUMENTS[:12], 1)
    assert one(measures.exponential_ndcg, list(ranks)[1:], ranks, gain=lambda rank: 2) == pytest.approx(1)
    assert one(measures.exponential_ndcg, list(ranks)[4:], ranks, gain=lambda rank: 2) < 1


def test_exponential_gains_end_where_floats_do():
    def of(gain):
        return one(measures.exponential_ndcg, ["x", "a"], {"a": 1}, gain=lambda rank: gain)

    assert of(1000) == pytest.approx(1 / log2(3))
    assert of(1001) is None
    assert of(0) == 0


def tiers_of(run, ranks):
    """Tier and place of the judged documents: negatives are the last tier, what the run lacks the last place."""
    return [(rank or 99, run.index(d) if d in run else 999) for d, rank in ranks.items()]


@given(cases())
@settings(max_examples=100, deadline=None)
def test_pairs_of_different_tiers_are_counted_one_by_one(case):
    run, ranks = case
    judged = tiers_of(run, ranks)
    right = [a[1] < b[1] for a in judged for b in judged if a[0] < b[0]]
    if right:
        assert one(measures.pairs, run, ranks) == pytest.approx(np.mean(right))
    else:
        assert only(run, ranks)["pairs"] is None


@given(cases())
@settings(max_examples=100, deadline=None)
def test_a_violation_is_a_negative_above_a_document(case):
    run, ranks = case
    judged = tiers_of(run, ranks)
    negatives = [place for tier, place in judged if tier == 99]
    above = any(negative < place for negative in negatives for tier, place in judged if tier != 99)
    assert one(measures.violations, run, ranks) == (float(above) if negatives else None)


@pytest.mark.parametrize(
    ("run", "violated"),
    [
        (["a", "b", "n", "m"], 0),
        (["a", "n", "b", "m"], 1),
        (["a", "b", "m", "n"], 0),
        (["a", "n", "m"], 1),  # a negative above b, which the run lacks
        (["a"], 0),  # neither b nor the negatives: none outranks the other
        (["x"], 0),
    ],
)
def test_violations_by_hand(run, violated):
    assert one(measures.violations, run, {"a": 1, "b": 2, "n": None, "m": None}) == violated


def test_a_random_order_violates_as_the_docstring_says():
    orders = {f"q{i}": list(order) for i, order in enumerate(permutations(["a", "b", "c", "n"]))}
    ranks = {query: {"a": 1, "b": 2, "c": 3, "n": None} for query in orders}
    found = evaluate(run_of(orders), qrels_of(ranks))
    assert found["CVR"].mean() == pytest.approx(3 / 4)
    assert found["pairs"].mean() == pytest.approx(1 / 2)


@given(cases())
@settings(max_examples=60, deadline=None)
def test_measures_of_the_set(case):
    run, ranks = case
    true = [d for d, rank in ranks.items() if rank]
    found = only(run, ranks)
    precisions = [len(set(run[: i + 1]) & set(true)) / (i + 1) for i, d in enumerate(run) if d in true]
    assert found["AP"] == pytest.approx(sum(precisions) / len(true))
    assert found["hit@1"] == float(run[0] in true)
    assert found["judged@10"] == pytest.approx(sum(d in ranks for d in run[:10]) / 10)


@given(cases())
@settings(max_examples=100, deadline=None)
def test_tau_counts_pairs(case):
    run, ranks = case
    true = [(rank, run.index(d) if d in run else 99) for d, rank in ranks.items() if rank]
    pairs = [(np.sign(a[0] - b[0]), np.sign(a[1] - b[1])) for a in true for b in true]
    untied = [sum(s != 0 for s in side) for side in zip(*pairs, strict=True)]
    found = one(measures.kendall, run, ranks)
    if untied[0] == 0:
        assert found is None
    else:
        expected = sum(x * y for x, y in pairs) / np.sqrt(max(untied[0] * untied[1], 1))
        assert found == pytest.approx(expected, abs=1e-12)


def test_a_perfect_run_scores_one_and_its_reverse_has_tau_minus_one():
    ranks = {d: i + 1 for i, d in enumerate(DOCUMENTS[:6])} | {"n": None}
    best = only(list(ranks), ranks, gain=lambda rank: 7 - rank)
    assert (best.pop("CVR"), best.pop("judged@10")) == (0, 0.7)  # seven of ten places are filled
    assert list(best.values())[1:] == pytest.approx([1] * (len(MEASURES) - 2))
    worst = only(list(ranks)[::-1], ranks)
    assert (worst["tau_b"], worst["pairs"], worst["CVR"]) == (pytest.approx(-1), 0, 1)


def test_a_query_that_the_run_lacks_scores_worst_and_one_that_the_qrels_lack_does_not_count():
    qrels = qrels_of({"b": {"x": 1, "y": 2}, "a": {"x": 1, "y": 2, "n": None}}, gain=lambda rank: 3 - rank)
    found = evaluate(run_of({"b": ["x"], "c": ["x"]}), qrels)
    assert found["query_id"].to_list() == ["a", "b"]
    lacking, half = found.rows(named=True)
    assert lacking == {"query_id": "a", **dict.fromkeys(MEASURES, 0.0), "CVR": 1.0}
    assert half["nDCG@10"] == pytest.approx(2 / (2 + 1 / log2(3)))
    assert (half["R@10"], half["RR"], half["CVR"]) == (0.5, 1.0, None)


@pytest.mark.parametrize("run", [run_of({"a": ["x"]}), pl.DataFrame(schema=SCHEMA)])
def test_a_run_that_has_no_query_of_the_qrels_scores_worst_in_each(run):
    qrels = qrels_of({"b": {"x": 1, "y": 2, "n": None}, "c": {"x": 1, "y": 2, "n": None}}, gain=lambda rank: 3 - rank)
    worst = dict.fromkeys(MEASURES, 0.0) | {"CVR": 1.0}
    assert evaluate(run, qrels).rows(named=True) == [{"query_id": "b", **worst}, {"query_id": "c", **worst}]


@given(st.lists(cases(), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_the_measures_that_trec_eval_has_are_its_to_the_last_digit(several):
    ours = {nDCG @ 10: "nDCG@10", AP: "AP", R @ 10: "R@10", RR: "RR", Success @ 1: "hit@1"}
    run = run_of({f"q{number}": docs for number, (docs, _) in enumerate(several)})
    qrels = qrels_of({f"q{number}": ranks for number, (_, ranks) in enumerate(several)})
    scores = nested(run.select("query_id", "doc_id", -pl.col("rank").cast(pl.Float64)))
    gains = nested(qrels.select("query_id", "doc_id", "gain"))
    relevant = nested(qrels.select("query_id", "doc_id", pl.col("rank").is_not_null().cast(pl.Int32)))
    theirs = [*iter_calc([nDCG @ 10], gains, scores), *iter_calc(list(ours)[1:], relevant, scores)]
    values = {row["query_id"]: row for row in evaluate(run, qrels).rows(named=True)}
    assert [values[one.query_id][ours[one.measure]] for one in theirs] == [one.value for one in theirs]


def nested(table):
    by_query = {}
    for query_id, doc_id, value in table.iter_rows():
        by_query.setdefault(query_id, {})[doc_id] = value
    return by_query


def test_tau_is_scipys_to_the_last_digit():
    rng = np.random.default_rng(1)
    for size in (2, 3, 10, 200):
        for most in (size, 2 * size):  # the places above the first number are of documents that the run lacks: equal
            ranks_D, places_D = rng.integers(1, size + 1, size), np.minimum(rng.permutation(most)[:size], size // 2)
            if np.ptp(ranks_D) and np.ptp(places_D):
                assert measures._tau_b(ranks_D, places_D) == kendalltau(ranks_D, places_D).statistic


def test_a_measure_is_its_entry_alone(monkeypatch):
    def length(run, qrels):
        return run.group_by("query_id").agg(value=pl.len())

    entry = measures.Measure("number of documents", compute=length, of_order=False)
    monkeypatch.setitem(measures.MEASURES, "length", entry)
    table = evaluate(run_of({"a": ["x", "y"]}), qrels_of({"a": {"x": 1}, "b": {"x": 1}}))
    assert table["length"].to_list() == [2.0, None]


def test_every_measure_is_defined():
    assert [name for name, one in MEASURES.items() if len(one.text) < 10 or one.better not in ("higher", "lower")] == []
    assert [name for name, one in MEASURES.items() if one.better == "lower"] == ["CVR"]


def test_the_cluster_of_a_query_is_its_smallest_document_of_rank_one():
    qrels = qrels_of({"a": {"z": 1, "y": 1, "b": 2}, "b": {"c": 1}})
    assert nearest_documents(qrels).rows() == [("a", "y"), ("b", "c")]
