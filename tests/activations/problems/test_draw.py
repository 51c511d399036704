from collections import Counter
from dataclasses import fields, replace

import numpy as np
import pytest
from activations.small import SEARCHED, ranges
from hypothesis import given, settings
from hypothesis import strategies as st

from arrange.activations.problems.draw import draw
from arrange.activations.problems.families import FAMILIES, INPUTS, LISTED, Target
from arrange.activations.problems.feynman import equations
from arrange.activations.problems.problem import outside, sample
from arrange.errors import UserError

RANGES = ranges(train=40, valid=20, ood=30)
PINNED = {
    "polynomials": -0.427302,
    "harmonics": 0.809778,
    "rational": 0.989535,
    "radial": 0.846048,
    "chirp": -0.985655,
    "piecewise": 0.950494,
    "feynman": -0.159422,
    "feynman_test": 0.315255,
    "growth": -1.329669,
    "bounded": 1.003141,
    "steps": -0.700391,
    "waves": 0.805179,
    "noise": -1.038069,
    "modular": 1.039990,
    "dynamics": -1.068424,
}


def content(problem):
    values = [getattr(problem, field.name) for field in fields(problem)]
    return [value.tobytes() if isinstance(value, np.ndarray) else value for value in values]


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 2**32 - 1))
def test_training_and_test_ranges_are_disjoint_and_values_bounded(seed):
    for problem in draw(FAMILIES, len(FAMILIES), seed, RANGES):
        for x_ND in (problem.train_x_ND, problem.valid_x_ND):
            assert np.abs(x_ND).max() <= 1
        furthest_N = np.abs(problem.ood_x_ND).max(axis=1)
        assert (furthest_N > 1).all()
        assert (furthest_N <= np.float32(1.6)).all()
        if problem.family in LISTED:
            assert problem.ood_x_ND.min() >= -1
        for name, points in (("train", 40), ("valid", 20), ("ood", 30)):
            x_ND, y_N = getattr(problem, f"{name}_x_ND"), getattr(problem, f"{name}_y_N")
            assert x_ND.dtype == y_N.dtype == np.float32
            assert (x_ND.shape, y_N.shape) == ((points, INPUTS), (points,))
            assert not x_ND[:, problem.inputs :].any()
            assert x_ND[:, : problem.inputs].any(axis=0).all()
            assert np.abs(y_N).max() <= 10
        assert problem.train_y_N.mean() == pytest.approx(0, abs=1e-6)
        assert problem.train_y_N.std() == pytest.approx(1, abs=1e-6)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_fresh_problems():
    first, again, other = (draw(FAMILIES, 30, seed, RANGES) for seed in (3, 3, 4))
    assert [content(problem) for problem in first] == [content(problem) for problem in again]
    for one, another in zip(first, other, strict=True):
        assert not np.array_equal(one.train_y_N, another.train_y_N)
        assert not np.array_equal(one.train_x_ND, another.train_x_ND)


def test_a_problem_of_a_seed_is_always_the_same():
    """Pinned, so that a library's new version or a renamed family doesn't change what was published unseen."""
    found = {problem.family: problem.train_y_N[0] for problem in draw(tuple(PINNED), len(PINNED), 1, RANGES)}
    assert found == pytest.approx(PINNED, abs=1e-6)


def test_families_get_equal_shares_and_the_first_the_remainder():
    problems = draw(("radial", "chirp", "rational"), 8, 0, RANGES)
    assert Counter(problem.family for problem in problems) == {"radial": 3, "chirp": 3, "rational": 2}
    assert [problem.name for problem in problems][:4] == ["radial 0", "radial 1", "radial 2", "chirp 0"]


def test_a_smaller_set_is_part_of_a_larger_one():
    small, large = (draw(SEARCHED, count, 7, RANGES) for count in (6, 12))
    by_name = {problem.name: content(problem) for problem in large}
    assert all(by_name[problem.name] == content(problem) for problem in small)


def test_a_set_has_all_equations_before_it_has_one_twice():
    count = len(equations("test"))
    abouts = [problem.about for problem in draw(("feynman_test",), count + 1, 5, RANGES)]
    assert len(set(abouts[:count])) == count
    assert abouts[count] == abouts[0]
    assert abouts != [problem.about for problem in draw(("feynman_test",), count + 1, 6, RANGES)]


def test_noise_is_on_the_training_targets_alone_and_as_loud_as_asked():
    clean = draw(("radial",), 4, 0, ranges(train=2000))
    noisy = draw(("radial",), 4, 0, ranges(train=2000, noise=0.3))
    for one, other in zip(clean, noisy, strict=True):
        assert (other.train_y_N - one.train_y_N).std() == pytest.approx(0.3, rel=0.06)
        assert content(one)[6:] == content(other)[6:]


def test_points_outside_are_spread_evenly_over_the_shell():
    target = Target(2, lambda x_ND: x_ND[:, 0])
    x_ND = outside(target, ranges(ood=20000, stretch=2.0), np.random.default_rng(0))
    corners = (np.abs(x_ND) > 1).all(axis=1).mean()
    assert corners == pytest.approx(4 / 12, abs=0.02)  # 4 of the 12 unit squares around the box
    up = outside(replace(target, upwards=True), ranges(ood=20000, stretch=2.0), np.random.default_rng(0))
    assert (up > 1).all(axis=1).mean() == pytest.approx(1 / 5, abs=0.02)  # 1 of the 5 above it
    assert up.min() >= -1


@pytest.mark.parametrize(
    "function",
    [
        lambda x_ND: np.full(len(x_ND), 3.0),
        lambda x_ND: np.log(x_ND[:, 0] + 1.3),  # not a number in the test box
        lambda x_ND: np.exp(5 * x_ND[:, 0]),  # 90 standard deviations away in the test box
    ],
    ids=["constant", "not finite", "an outlier"],
)
def test_a_target_that_fits_no_problem_is_not_admitted(function):
    assert sample("x", "family", Target(1, function), RANGES, np.random.default_rng(0)) is None


def test_mistakes_are_told_in_two_lines():
    with pytest.raises(UserError, match=r"there is no family of problems 'poly'\ntake some of polynomials"):
        draw(("poly",), 3, 0, RANGES)
    with pytest.raises(UserError, match=r"within 0.1 standard deviations out to 1.6 times.*\nlower the stretch"):
        draw(("chirp",), 1, 0, ranges(limit=0.1))
