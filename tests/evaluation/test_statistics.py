from itertools import product

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import permutation_test

from arrange.errors import UserError
from arrange.evaluation.statistics import by_group, correlations, differences, holm, over_seeds, summary


def table(values, measure="m", **keys):
    ids = [f"q{i:03}" for i in range(len(values))]
    columns = {"query_id": ids, measure: pl.Series(values, dtype=pl.Float64)}
    return pl.DataFrame(columns).select(*(pl.lit(value).alias(key) for key, value in keys.items()), *columns)


def clusters(names):
    return pl.DataFrame({"query_id": [f"q{i:03}" for i in range(len(names))], "cluster": list(names)})


def test_the_mean_is_over_queries_and_skips_nulls():
    per_query = table([1.0, 0.5, None, 0.0]).with_columns(none=pl.lit(None, pl.Float64))
    found = summary(per_query, clusters(["x", "x", "y", "y"]))
    assert found.select("measure", "mean", "spread", "queries").rows() == [("m", 0.5, None, 3), ("none", None, None, 0)]
    assert found.row(1)[2:4] == (None, None)


def test_the_interval_is_that_of_clusters_not_of_queries():
    """100 queries in 4 clusters of equal values are 4 independent ones, which say next to nothing."""
    values, groups = [float(i // 25) for i in range(100)], [f"c{i // 25}" for i in range(100)]
    found = summary(table(values), clusters(groups), draws=2000, seed=3).row(0, named=True)
    assert (found["low"], found["high"]) == (0.0, 3.0)
    alone = summary(table(values), clusters(range(100)), draws=2000, seed=3).row(0, named=True)
    assert alone["high"] - alone["low"] == pytest.approx(2 * 1.98 * np.std(values) / 10, rel=0.1)


def test_the_interval_is_the_studentised_one_over_all_draws():
    """Seven clusters have 7^7 draws. Each tells how many of its own standard errors its mean is off."""
    groups = [[0.2, 0.4], [0.5], [0.0], [0.7, 0.6], [1.0, 0.8], [0.45, 0.8], [0.3]]
    sums_C, sizes_C = np.array([sum(group) for group in groups]), np.array([len(group) for group in groups])

    def means_and_errors(picks_BC):
        s, n = sums_C[picks_BC], sizes_C[picks_BC]
        means = s.sum(axis=1) / n.sum(axis=1)
        return means, np.sqrt(((s - means[:, None] * n) ** 2).sum(axis=1)) / n.sum(axis=1)

    (mean,), (error,) = means_and_errors(np.arange(7)[None])
    means, errors = means_and_errors(np.indices((7,) * 7).reshape(7, -1).T)
    high, low = mean - np.quantile((means - mean) / np.maximum(errors, 1e-9), [0.025, 0.975]) * error
    assert means.min() < low < mean < high < means.max()
    names = [name for name, group in zip("abcdefg", groups, strict=True) for _ in group]
    found = summary(table(np.concatenate(groups)), clusters(names), draws=100_000).row(0, named=True)
    assert [found["mean"], found["low"], found["high"]] == pytest.approx([mean, low, high], abs=0.005)


def test_an_interval_ends_within_the_measures_range():
    """One query of 20 has a hit: a draw without it has no standard error."""
    found = summary(table([1.0] + [0.0] * 19), clusters(range(20)), draws=2000).row(0, named=True)
    assert found["low"] == 0
    assert 0.1 < found["high"] < 1


def test_a_drawn_mean_is_over_the_queries_of_the_drawn_clusters():
    """Clusters of 1 and 3 queries: drawn are 0, 3/4 (both) and 1, with chances 1/4, 1/2, 1/4."""
    found = summary(table([0.0, 1.0, 1.0, 1.0]), clusters(["x", "y", "y", "y"]), draws=400)
    assert found.select("mean", "low", "high").row(0) == (0.75, 0.0, 1.0)


def test_the_seed_decides_the_interval_and_the_order_of_rows_does_not():
    per_query, groups = table(np.random.default_rng(0).random(50)), clusters([i // 2 for i in range(50)])
    low = [summary(per_query, groups, draws=50, seed=seed)["low"][0] for seed in (0, 0, 1)]
    assert low[0] == low[1] != low[2]
    assert summary(per_query[::-1], groups.sample(fraction=1, shuffle=True, seed=1), draws=50)["low"][0] == low[0]


def test_values_are_summed_in_the_order_of_query_ids():
    """1e16 - 1e16 + 1 is 1, 1 - 1e16 + 1e16 is 0."""
    per_query, groups = table([1e16, -1e16, 1.0]), clusters(["x", "x", "x"])
    for rows in (groups, groups[::-1]):
        assert summary(per_query, rows, draws=5)["mean"].item() == 1 / 3


def test_seeds_are_averaged_within_a_query_and_their_means_spread():
    both = pl.concat([table([0.0, 1.0], seed=1), table([0.5, 0.7], seed=2)])
    assert over_seeds(both).rows() == [("q000", 0.25), ("q001", 0.85)]
    found = summary(both, clusters(["x", "y"]), draws=200).row(0, named=True)
    assert found["mean"] == pytest.approx(0.55)
    assert (found["low"], found["high"]) == pytest.approx((0.25, 0.85))  # of two queries, not of four values
    assert found["spread"] == pytest.approx(0.1 / 2**0.5)  # of 0.5 and 0.6
    assert found["queries"] == 2
    assert summary(both.filter(seed=1), clusters(["x", "y"]))["spread"][0] is None


def test_a_query_without_a_cluster_is_named():
    with pytest.raises(UserError, match="query 'q002' has no cluster"):
        summary(table([1.0, 2.0, 3.0]), clusters(["x", "y"]))


def test_groups_are_summed_up_apart():
    groups = pl.DataFrame({"query_id": ["q000", "q001", "q002"], "group": ["us", "es", "us"]})
    found = by_group(table([0.0, 0.5, 1.0, 9.0]), groups, clusters(["x", "y", "z", "z"]), draws=100)
    assert found.select("group", "measure", "mean", "queries").rows() == [("es", "m", 0.5, 1), ("us", "m", 0.5, 2)]
    assert found.select("low", "high").rows() == [(0.5, 0.5), (0.0, 1.0)]


def systems(*values, reference=None):
    reference = reference if reference is not None else [0.0] * len(values[0])
    parts = [table(reference, system="base"), *(table(v, system=f"s{i}") for i, v in enumerate(values))]
    return pl.concat(parts)


def test_p_is_the_share_of_sign_flips_as_far_from_zero():
    """5 clusters whose sums are 1, 2, 3, 4 and -1: of 32 flips 6 have a sum of at least 9 on either side.

    11 is all but the 1 (and the -1, that flipped gives 1) positive: both of them free to be either sign.
    """
    sums = [1, 2, 3, 4, -1]
    exact = np.mean([abs(np.dot(signs, sums)) >= 9 for signs in product([-1, 1], repeat=5)])
    assert exact == 6 / 32
    values = [v for total in sums for v in (total / 2, total / 2)]
    found = differences(systems(values), "base", clusters([i // 2 for i in range(10)]), draws=20_000)
    assert found.row(0, named=True)["p"] == pytest.approx(exact, abs=0.015)
    assert found["difference"][0] == pytest.approx(0.9)


def test_p_of_single_queries_is_scipys():
    rng = np.random.default_rng(5)
    one, two = rng.random((2, 12))
    scipy = permutation_test((one, two), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=np.inf)
    found = differences(systems(one, reference=two), "base", clusters(range(12)), draws=20_000, seed=2)
    assert found["p"][0] == pytest.approx(scipy.pvalue, abs=0.015)


def test_clusters_of_like_queries_are_no_independent_evidence():
    values = [0.1] * 60
    many, few = (differences(systems(values), "base", clusters([i % n for i in range(60)])) for n in (60, 2))
    assert many["p"][0] == pytest.approx(1 / 2001)
    assert few["p"][0] == pytest.approx(0.5, abs=0.05)  # two of four flips


def test_the_interval_of_a_difference_is_paired():
    """Scores that differ much from query to query, and always by 0.1 between the systems."""
    reference = np.random.default_rng(1).random(40)
    found = differences(systems(reference + 0.1, reference=reference), "base", clusters(range(40)))
    assert found.select("difference", "low", "high").row(0) == pytest.approx((0.1, 0.1, 0.1))


def test_systems_keep_their_order_and_holm_adjusts_over_them_for_each_measure_alone():
    rng = np.random.default_rng(2)
    values = [rng.normal(shift, 1, size=30) for shift in (0.8, 0.0, 0.5)]
    per_query = systems(*values).with_columns(n=pl.col("m") * 0, o=pl.lit(None, pl.Float64))
    found = differences(per_query, "base", clusters(range(30)))
    assert found["system"].to_list() == [f"s{i}" for i in range(3) for _ in range(3)]
    m, n, o = (found.filter(measure=name) for name in "mno")
    assert m["p_holm"].to_list() == holm(m["p"].to_list()) != m["p"].to_list()
    assert n["p_holm"].to_list() == n["p"].to_list() == [1.0, 1.0, 1.0]
    assert o.select("difference", "low", "high", "p", "p_holm", "queries").rows() == [(*[None] * 5, 0)] * 3


def test_only_queries_with_both_values_are_compared():
    found = differences(systems([1.0, 1.0, None], reference=[0.5, None, 0.0]), "base", clusters("abc"), draws=50)
    assert found.select("difference", "low", "high", "queries").row(0) == (0.5, 0.5, 0.5, 1)


def test_a_system_of_many_seeds_meets_one_of_a_single_seed():
    parts = [table([0.0, 0.0], system="base", seed=1), *(table([s, 2.0 * s], system="s", seed=s) for s in (1, 2, 3))]
    found = differences(pl.concat(parts), "base", clusters("ab"), draws=50)
    assert found.select("difference", "queries").row(0) == (3.0, 2)  # of 2 and 4


def test_a_measure_without_values_and_a_table_of_the_reference_alone_are_no_errors():
    found = differences(systems([None, None], [1.0, 2.0]), "base", clusters("ab"), draws=50)
    assert found["p"].is_null().to_list() == [True, False]
    assert differences(systems([1.0]).filter(system="base"), "base", clusters("a")).rows() == []


def test_an_unknown_reference_is_answered_with_the_systems():
    with pytest.raises(UserError, match="the reference 'item' is no system of the table\ntake one of base, s0"):
        differences(systems([1.0]), "item", clusters("a"))


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([]) == []
    np.testing.assert_allclose(holm([0.02, float("nan"), 0.03]), [0.04, float("nan"), 0.04])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.001, 0.99))
@settings(max_examples=200)
def test_holm_rejects_what_stepping_down_rejects(p_values, level):
    rejected = set()
    for step, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        if p_values[index] * (len(p_values) - step) > level:
            break
        rejected.add(index)
    assert {i for i, p in enumerate(holm(p_values)) if p <= level} == rejected


def test_correlation_is_over_checkpoints_that_have_both():
    def history(losses, metrics):
        columns = {"step": range(len(losses)), "loss": 1.0, "validation_loss": losses, "nDCG@10": metrics}
        return pl.DataFrame(columns, strict=False)

    found = correlations(
        {
            "good": history([4.0, 3.0, None, 2.0], [0.1, 0.2, 0.9, 0.4]),
            "late": history([3.9, 3.0, 2.0, 2.5], [0.1, 0.3, 0.2, None]),
            "flat": history([1.0, 1.0, 1.0, 1.0], [0.1, 0.3, 0.2, 0.4]),
            "short": history([1.0, 2.0, None, None], [0.1, 0.3, 0.2, 0.4]),
        }
    )
    assert found.rows()[:4] == [
        ("good", 3, pytest.approx(-1)),
        ("late", 3, pytest.approx(-0.5)),  # 1 - 6 * (2^2 + 1 + 1) / (3 * 8)
        ("flat", 4, None),
        ("short", 2, None),
    ]
    assert found.row(4)[:2] == ("all", 12)


def test_no_checkpoint_was_validated_and_no_system_trained():
    unvalidated = pl.DataFrame({"step": [1, 2], "loss": [2.0, 1.0]})
    assert correlations({"a": unvalidated}).rows() == [("a", 0, None), ("all", 0, None)]
    assert correlations({}).rows() == [("all", 0, None)]
