import math

import numpy as np
import pytest
from activations.small import ranges, rung

from arrange.activations.evaluation import Measurement
from arrange.activations.fitness.scoring import fitness_of, log_ratios, scores
from arrange.activations.problems.draw import draw

PROBLEMS = draw(("radial", "chirp"), 2, 0, ranges(train=5, valid=4, ood=3))
RUNG = rung(2, 2, 10, (0.1, 0.2, 0.3))


def predictions(**errors):
    """Predictions that are off by these amounts: P x S x R each."""
    targets = {part: np.stack([getattr(problem, f"{part}_y_N") for problem in PROBLEMS]) for part in errors}
    return {part: targets[part][:, None, None] + np.array(off)[..., None] for part, off in errors.items()}


def cell(ood, problem="a 0", seed=0, family="a"):
    return Measurement("search", problem, family, seed, 0.1, 0.0, 0.0, ood)


def test_validation_in_distribution_picks_the_rate_and_nothing_else():
    valid = [[[3, 2, 1], [1, 2, 3]], [[2, 1, 3], [np.nan, np.inf, 2]]]
    train, ood = np.arange(12).reshape(2, 2, 3), -np.arange(12).reshape(2, 2, 3) * 0.5
    found = scores("search", RUNG, PROBLEMS, predictions(train=train, valid=valid, ood=ood))
    assert [(one.problem, one.family, one.seed, one.rate) for one in found] == [
        ("radial 0", "radial", 0, 0.3),
        ("radial 0", "radial", 1, 0.1),
        ("chirp 0", "chirp", 0, 0.2),
        ("chirp 0", "chirp", 1, 0.3),
    ]
    np.testing.assert_allclose([one.train for one in found], [4, 9, 49, 121], rtol=1e-5)
    np.testing.assert_allclose([one.valid for one in found], [1, 1, 1, 4], rtol=1e-5)
    np.testing.assert_allclose([one.ood for one in found], [1, 2.25, 12.25, 30.25], rtol=1e-5)


def test_one_prediction_that_is_not_finite_makes_the_whole_error_infinite():
    arrays = predictions(train=np.zeros((2, 2, 3)), valid=np.zeros((2, 2, 3)), ood=np.zeros((2, 2, 3)))
    arrays["ood"][0, 1, 0, 2] = np.nan
    arrays["ood"][1, 0, 0, 0] = np.inf
    assert [one.ood for one in scores("search", RUNG, PROBLEMS, arrays)] == [0, math.inf, math.inf, 0]


def test_where_all_rates_diverge_there_is_a_measurement_all_the_same():
    arrays = predictions(**dict.fromkeys(("train", "valid", "ood"), np.full((2, 2, 3), np.nan)))
    assert [(one.rate, one.valid, one.ood) for one in scores("x", RUNG, PROBLEMS, arrays)] == [
        (0.1, math.inf, math.inf)
    ] * 4


@pytest.mark.parametrize("broken", [{}, {"ood": np.zeros((2, 2, 3, 1))}, {"ood": np.zeros((2, 2, 2, 3))}])
def test_arrays_that_are_no_predictions_are_refused(broken):
    arrays = predictions(train=np.zeros((2, 2, 3)), valid=np.zeros((2, 2, 3)))
    with pytest.raises(ValueError, match=r"no predictions of shape \(2, 2, 3, 3\)"):
        scores("search", RUNG, PROBLEMS, arrays | broken)


def test_log_ratios_are_clipped_cell_by_cell_and_seeds_averaged():
    reference = [cell(1.0), cell(2.0, seed=1), cell(4.0, "b 0", family="b"), cell(4.0, "b 0", 1, "b")]
    measured = [cell(math.e), cell(2.0, seed=1), cell(4e9, "b 0", family="b"), cell(4 / math.e, "b 0", 1, "b")]
    found = log_ratios(measured, reference)
    assert found == {"a": {"a 0": pytest.approx(0.5)}, "b": {"b 0": pytest.approx((2 - 1) / 2)}}


@pytest.mark.parametrize("theirs", [1e-3, 1.0, math.inf])
def test_a_candidate_that_diverged_counts_as_the_clip_whatever_the_reference_did(theirs):
    assert log_ratios([cell(math.inf)], [cell(theirs)]) == {"a": {"a 0": 2.0}}


def test_a_reference_that_diverged_and_an_error_of_nothing_count_as_the_other_clip():
    assert log_ratios([cell(1.0)], [cell(math.inf)]) == {"a": {"a 0": -2.0}}
    assert log_ratios([cell(0.0)], [cell(1.0)]) == {"a": {"a 0": -2.0}}


def test_families_weigh_the_same_however_many_problems_they_have():
    reference = [cell(1.0, "a 0"), cell(1.0, "b 0", family="b"), cell(1.0, "b 1", family="b")]
    measured = [cell(math.exp(-0.9), "a 0"), cell(math.e, "b 0", family="b"), cell(math.exp(0.2), "b 1", family="b")]
    assert fitness_of(measured, reference) == pytest.approx((0.9 - 0.6) / 2)
    assert fitness_of(reference, reference) == 0


def test_a_lower_error_than_the_references_is_a_fitness_above_zero():
    assert fitness_of([cell(0.9)], [cell(1.0)]) == pytest.approx(-math.log(0.9))


def test_member_steps_are_networks_times_steps():
    assert RUNG.member_steps == 2 * 2 * 3 * 10
