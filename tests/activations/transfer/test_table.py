"""The comparison by hand: log-ratios, intervals, Wilcoxon and Holm."""

from math import e, inf, log

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from arrange.activations.evaluation import Admitted, Measurement
from arrange.activations.fitness.scoring import log_ratios
from arrange.activations.transfer import table
from arrange.errors import UserError

ADMITTED = {
    name: Admitted(flops, name != "t", 1.0, ()) for name, flops in (("gelu", 14), ("f", 2), ("t", 50), ("g", 3))
}


def measured(errors, family="toy"):
    """Measurements from errors by problem, one per seed."""
    return [
        Measurement("transfer", f"p{problem}", family, seed, 1e-3, 0.1, 0.2, error)
        for problem, of_seeds in enumerate(errors)
        for seed, error in enumerate(of_seeds)
    ]


def long(group="digits", **errors):
    return table.long({group: {name: measured(values) for name, values in errors.items()}})


def clustered(clusters, **errors):
    return table.long({"tabular": {name: measured(values) for name, values in errors.items()}}, clusters)


def ratios(found, reference="gelu"):
    return table.log_ratios(found, reference)["log_ratio"].to_list()


def test_the_long_table_has_a_row_per_measurement():
    found = long(gelu=[[1.0, 2.0]], f=[[3.0, 4.0]])
    assert found.rows() == [
        ("gelu", "digits", "toy", "p0", "p0", 0, 1e-3, 0.1, 0.2, 1.0),
        ("gelu", "digits", "toy", "p0", "p0", 1, 1e-3, 0.1, 0.2, 2.0),
        ("f", "digits", "toy", "p0", "p0", 0, 1e-3, 0.1, 0.2, 3.0),
        ("f", "digits", "toy", "p0", "p0", 1, 1e-3, 0.1, 0.2, 4.0),
    ]


def test_log_ratios_pair_seeds_and_average_them():
    found = long(gelu=[[1.0, 2.0], [1.0, 1.0]], f=[[e, 2 / e], [e, e]])
    assert ratios(found) == pytest.approx([0.0, 1.0])
    assert ratios(found, "f") == pytest.approx([0.0, -1.0])


def test_log_ratios_are_clipped_seed_by_seed_and_divergence_is_at_the_clip():
    found = long(
        gelu=[[1.0, e], [1.0, inf], [inf, 1.0], [1.0, 1.0]],
        f=[[100.0, e], [inf, inf], [1.0, inf], [0.01, 1.0]],
    )
    assert ratios(found) == pytest.approx([1.0, 2.0, 0.0, -1.0])


def test_log_ratios_are_those_of_the_search():
    rng = np.random.default_rng(0)
    gelu, f = (rng.lognormal(0, 2, (6, 3)).tolist() for _ in range(2))
    gelu[0][1] = gelu[1][1] = f[0][0] = f[1][1] = inf
    expected = log_ratios(measured(f), measured(gelu))["toy"]
    assert ratios(long(gelu=gelu, f=f)) == pytest.approx(list(expected.values()))


def test_errors_below_the_floor_are_equal():
    assert ratios(long(gelu=[[1e-3], [1e-9]], f=[[1e-6], [2e-3]])) == pytest.approx([0.0, log(2)])


def test_arithmetic_means_stand_beside_the_log_ratio_and_may_say_the_opposite():
    """Three small problems that get worse by half, and a large one that gets better: the paper's mean sees that one."""
    found = long(gelu=[[0.1, 0.3]] * 3 + [[8.0, 10.0]], f=[[0.15, 0.45]] * 3 + [[4.0, 5.0]], g=[[inf, 0.3]] * 4)
    both = pl.concat([found, table.long({"tabular": {n: measured([[1.0]]) for n in ("gelu", "f")}})])
    row, _, other = table.compare(both, ADMITTED).rows(named=True)
    assert (row["error"], row["reference_error"]) == pytest.approx(((6 * 0.3 + 9) / 8, (6 * 0.2 + 18) / 8))
    assert row["log_ratio"] > 0
    assert (other["error"], other["reference_error"]) == (1.0, 1.0)
    diverged = table.compare(found, ADMITTED).filter(activation="g").row(0, named=True)
    assert diverged["error"] == inf


@pytest.mark.filterwarnings("error")
def test_mean_worst_and_tests_by_hand():
    """Five problems, all worse: p = 2 / 2^5. A single other one of sign -: the sums of ranks are 1 and 14."""
    f = [[e**0.1], [e**0.2], [e**0.3], [e**0.4], [e**0.5]]
    t = [[e**-0.1], [e**0.2], [e**0.3], [e**0.4], [e**0.5]]
    found = table.compare(long(gelu=[[1.0]] * 5, f=f, t=t, g=[[1.0]] * 5), ADMITTED)
    rows = {row["activation"]: row for row in found.rows(named=True)}
    assert list(rows) == ["g", "t", "f"]  # the best first
    assert [rows[name]["log_ratio"] for name in "ftg"] == pytest.approx([0.3, 0.26, 0.0])
    assert [rows[name]["worst"] for name in "ftg"] == pytest.approx([0.5, 0.5, 0.0])
    assert [rows[name]["p"] for name in "ftg"] == pytest.approx([2 / 32, 4 / 32, 1.0])
    assert [rows[name]["p_holm"] for name in "ftg"] == pytest.approx([6 / 32, 8 / 32, 1.0])
    assert {row["problems"] for row in rows.values()} == {5}
    assert (rows["t"]["flops"], rows["t"]["pointwise"], rows["f"]["pointwise"]) == (50, False, True)


def test_the_interval_is_the_bootstrap_over_problems_not_over_seeds():
    """Of four problems it is their range, which the seeds of each exceed by 0.3."""
    values = [-0.5, 0.0, 0.2, 0.9]
    f = [[e ** (value + 0.3), e ** (value - 0.3)] for value in values]
    row = table.compare(long(gelu=[[1.0, 1.0]] * 4, f=f), ADMITTED, draws=4000).row(0, named=True)
    assert (row["low"], row["high"]) == pytest.approx((-0.5, 0.9))


def test_problems_of_a_data_set_are_one_by_their_mean():
    """Four data sets of two cuts each, and all eight worse: p = 2 / 2^4, the mean of means, the worst of all."""
    values = [0.1, 0.3, 0.2, 0.4, 0.5, 0.7, 0.8, 0.8]
    clusters = {f"p{problem}": f"data {problem // 2}" for problem in range(8)}
    found = clustered(clusters, gelu=[[1.0]] * 8, f=[[e**value] for value in values])
    row = table.compare(found, ADMITTED, draws=4000).row(0, named=True)
    assert (row["problems"], row["clusters"], row["p"]) == (8, 4, 0.125)
    assert (row["log_ratio"], row["worst"]) == (pytest.approx((0.2 + 0.3 + 0.6 + 0.8) / 4), pytest.approx(0.8))
    assert (row["low"], row["high"]) == pytest.approx((0.2, 0.8))  # of the means, not of the problems


def test_a_large_data_set_weighs_no_more_than_a_small_one():
    found = clustered(dict.fromkeys(("p0", "p1", "p2"), "large"), gelu=[[1.0]] * 4, f=[[e], [e], [e], [1 / e]])
    row = table.compare(found, ADMITTED).row(0, named=True)
    assert (row["log_ratio"], row["problems"], row["clusters"]) == (pytest.approx(0), 4, 2)


def test_groups_and_families_are_compared_apart():
    errors = {"gelu": (1.0, 1.0), "f": (e, 1 / e)}
    both = {name: measured([[a]] * 3, "chirp") + measured([[b]] * 3, "radial") for name, (a, b) in errors.items()}
    alone = {name: measured([[a]] * 3) for name, (a, _) in errors.items()}
    found = table.long({"held-out": both, "digits": alone})
    by_group = table.compare(found, ADMITTED).select("group", "problems", "log_ratio").rows()
    assert by_group == [("held-out", 6, pytest.approx(0)), ("digits", 3, pytest.approx(1))]
    by_family = table.compare(found, ADMITTED, by="family").select("group", "problems", "log_ratio").rows()
    assert by_family == [("chirp", 3, pytest.approx(1)), ("radial", 3, pytest.approx(-1)), ("toy", 3, pytest.approx(1))]


def test_the_order_of_rows_decides_nothing():
    rng = np.random.default_rng(0)
    found = long(gelu=rng.random((9, 3)), f=rng.random((9, 3)), t=rng.random((9, 3)))
    expected = table.compare(found, ADMITTED)
    for seed in range(3):
        mixed = table.compare(found.sample(fraction=1, shuffle=True, seed=seed), ADMITTED)
        assert_frame_equal(mixed, expected, abs_tol=1e-12)


def test_a_single_problem_and_a_reference_alone_are_no_errors():
    assert table.compare(long(gelu=[[1.0]], f=[[2.0]]), ADMITTED).select("p", "low", "high").row(0) == pytest.approx(
        (1.0, log(2), log(2))
    )
    assert table.compare(long(gelu=[[1.0]]), ADMITTED).schema == table.COMPARED


def test_a_missing_reference_is_named():
    with pytest.raises(UserError, match="the reference 'gelu' is no activation of the table\n"):
        table.compare(long(f=[[1.0]]), ADMITTED)
