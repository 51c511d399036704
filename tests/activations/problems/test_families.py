import math

import numpy as np
import pytest
from scipy.integrate import dblquad
from scipy.special import sph_harm_y

from arrange.activations.problems.families import (
    bounded,
    chirp,
    dynamics,
    evaluated,
    fourier,
    growth,
    modular,
    monomials,
    noise,
    piecewise,
    polynomial,
    radial,
    rational,
    real,
    spherical,
    steps,
    waves,
)


class Chosen:
    """Stands for a generator of random numbers: gives what it was told, in turn."""

    def __init__(self, *values):
        self._values = iter(values)

    def _next(self, *_args):
        return next(self._values)

    integers = standard_normal = uniform = random = _next


def test_there_are_as_many_monomials_as_ways_to_choose_them():
    for inputs in range(1, 5):
        for degree in range(6):
            powers_PD = monomials(inputs, degree)
            assert len({tuple(row) for row in powers_PD}) == len(powers_PD) == math.comb(inputs + degree, degree)
            assert powers_PD.sum(axis=1).max() == degree


def test_a_polynomial_is_the_sum_of_its_terms():
    powers_PD = np.array([[0, 0], [2, 1], [0, 3]])
    x_ND = np.array([[2.0, 3.0], [-1.0, 0.5]])
    np.testing.assert_allclose(evaluated(x_ND, powers_PD, np.array([1.0, 2.0, -1.0])), [1 + 24 - 27, 1 + 1 - 0.125])


def test_the_differences_of_a_polynomial_vanish_beyond_its_degree():
    for seed in range(20):
        target = polynomial(np.random.default_rng(seed))
        degree = int(target.about.split()[-1])
        line_ND = np.linspace(-1, 1, degree + 3)[:, None] * np.ones(target.inputs)
        y_N = target.function(line_ND)
        assert np.abs(np.diff(y_N, degree + 1)).max() < 1e-9 < np.abs(np.diff(y_N, degree)).max()


def test_a_fourier_series_has_its_period_and_the_values_worked_by_hand():
    # two terms, period 2; amplitudes 1 and 4 / 2; phases 0 and pi / 2
    target = fourier(Chosen(2, 2.0, np.array([1.0, 4.0]), np.array([0.0, np.pi / 2])))
    x_N1 = np.array([[0.0], [0.25], [0.5]])
    np.testing.assert_allclose(target.function(x_N1), [1.0, np.sqrt(0.5) - 2.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(target.function(x_N1 + 2.0), target.function(x_N1), atol=1e-12)


def test_real_spherical_harmonics_are_orthonormal_and_agree_with_cartesian_ones():
    pairs = [(1, -1), (1, 0), (1, 1), (2, -1), (2, 2)]
    for i, one in enumerate(pairs):
        for other in pairs[: i + 1]:
            product, _ = dblquad(
                lambda polar, azimuth, one=one, other=other: float(
                    real(*one, polar, azimuth) * real(*other, polar, azimuth) * np.sin(polar)
                ),
                *(0, 2 * np.pi, 0, np.pi),
                epsabs=1e-6,
            )
            assert product == pytest.approx(float(one == other), abs=1e-5)
    polar, azimuth = np.array([0.4, 1.2]), np.array([-0.7, 2.0])
    x, y, z = np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)
    np.testing.assert_allclose(real(1, 1, polar, azimuth), np.sqrt(3 / (4 * np.pi)) * x)
    np.testing.assert_allclose(real(1, -1, polar, azimuth), np.sqrt(3 / (4 * np.pi)) * y)
    np.testing.assert_allclose(real(2, 0, polar, azimuth), np.sqrt(5 / (16 * np.pi)) * (3 * z**2 - 1))


def test_a_spherical_target_is_a_function_on_the_sphere():
    """Of degree n and no more: projected on the harmonics of other degrees nothing is left."""
    target = spherical(np.random.default_rng(0))
    degree = int(target.about.split()[-1])
    polar, weight = np.polynomial.legendre.leggauss(20)
    polar, azimuth = (grid.ravel() for grid in np.meshgrid(np.arccos(polar), np.arange(40) * np.pi / 20))
    x_N2 = np.stack([(polar - np.pi / 2) / (np.pi / 4), azimuth / (np.pi / 2)], axis=1)
    y_N = target.function(x_N2) * np.tile(weight, 40)
    for n in range(8):
        part = max(abs((y_N * sph_harm_y(n, m, polar, azimuth)).sum()) for m in range(n + 1))
        assert (part > 1e-9) == (1 <= n <= degree)


def test_a_rational_function_times_its_denominator_is_a_cubic():
    cubic, square = np.array([1.0, 2.0, 0.0, -1.0]), np.array([0.0, 1.0, 2.0])
    target = rational(Chosen(1, cubic, square))
    np.testing.assert_allclose(
        target.function(np.array([[0.0], [1.0], [-2.0]])), [1, 2 / (1 + 9), (1 - 4 + 8) / (1 + (-2 + 8) ** 2)]
    )


def test_a_bump_is_highest_at_its_centre_and_falls_as_worked_by_hand():
    target = radial(Chosen(2, 1, np.array([[0.5, 0.0]]), np.array([0.5]), np.array([2.0])))
    np.testing.assert_allclose(target.function(np.array([[0.5, 0.0], [0.5, 0.5]])), [2.0, 2 * np.exp(-0.5)])


def test_a_chirp_is_the_sine_of_a_parabola_along_its_direction():
    target = chirp(Chosen(2, np.array([3.0, 4.0]), 0.5, 2.0, 1.0))
    u = 0.6 * 0.5 + 0.8 * -1.0
    np.testing.assert_allclose(target.function(np.array([[0.5, -1.0]])), [np.sin(0.5 + 2 * u + u**2)])


def test_pieces_are_linear_between_their_planes_and_jump_there():
    target = piecewise(Chosen(1, 1, np.array([[2.0]]), np.array([0.5]), np.array([3.0]), np.array([1.0])))
    np.testing.assert_allclose(
        target.function(np.array([[0.0], [0.5], [0.5 + 1e-9], [1.0]])), [1.5, 0.0, 0.25, 1.75], atol=1e-8
    )


def test_growth_is_a_sum_of_exponentials():
    # two inputs, one term along (0.6, 0.8), of length 2, with amplitude 3
    target = growth(Chosen(2, 1, np.array([[3.0, 4.0]]), np.array([[2.0]]), np.array([3.0])))
    np.testing.assert_allclose(target.function(np.array([[0.0, 0.0], [0.5, 1.0]])), [3.0, 3 * np.exp(2 * 1.1)])


def test_bounded_functions_are_sums_of_smooth_steps_that_are_flat_far_away():
    target = bounded(Chosen(1, 1, np.array([[2.0]]), np.array([0.5]), np.array([4.0]), np.array([3.0])))
    values_N = target.function(np.array([[0.5], [0.75], [99.0], [-99.0]]))
    np.testing.assert_allclose(values_N, [0.0, 3 * np.tanh(1.0), 3.0, -3.0])


def test_steps_are_constant_between_their_jumps():
    target = steps(Chosen(1, 2, np.array([[2.0], [-1.0]]), np.array([0.5, 0.0]), np.array([3.0, 1.0])))
    np.testing.assert_array_equal(target.function(np.array([[-2.0], [-0.1], [0.1], [0.6], [9.0]])), [1, 1, 0, 3, 3])


def test_waves_are_sines_along_their_directions():
    target = waves(Chosen(2, 1, np.array([[3.0, 4.0]]), np.array([[5.0]]), np.array([0.5]), np.array([2.0])))
    np.testing.assert_allclose(target.function(np.array([[1.0, -0.5]])), [2 * np.sin(5 * (0.6 - 0.4) + 0.5)])


def test_a_random_field_has_the_variance_and_the_correlation_that_it_says():
    """Over many fields of length 0.5: variance 1, correlation exp(-d^2 / (2 l^2)) at the distance d."""

    class OfLength(np.random.Generator):
        def uniform(self, low=0.0, high=1.0, size=None):
            return 0.5 if size is None else super().uniform(low, high, size)

    x_N1 = np.array([[0.0], [0.3], [0.6]])
    fields = (noise(OfLength(np.random.PCG64(seed))) for seed in range(4000))
    values_FN = np.stack([one.function(np.repeat(x_N1, one.inputs, 1) / one.inputs**0.5) for one in fields])
    expected = np.exp(-(np.array([0.0, 0.3, 0.6]) ** 2) / (2 * 0.5**2))
    np.testing.assert_allclose((values_FN[:, :1] * values_FN).mean(axis=0), expected, atol=0.06)


def test_modular_arithmetic_wraps_at_whole_numbers():
    # along (0.6, 0.8), period 1, offset 0.25
    target = modular(Chosen(2, np.array([[3.0, 4.0]]), 1.0, 0.25))
    x_ND = np.array([[0.0, 0.0], [0.5, 0.5], [1.0, 1.0], [-1.0, 0.0]])
    np.testing.assert_allclose(target.function(x_ND), [0.25, 0.95, 0.65, 0.65])


def test_a_pendulum_without_damping_keeps_its_energy_and_a_small_swing_is_a_cosine():
    target = dynamics(Chosen(0.0, 3.0))
    np.testing.assert_allclose(target.function(np.array([[5e-4, 0.0]])), [1e-3 * np.cos(3.0)], rtol=1e-5)
    # thrown up from 1 with the velocity that just reaches the top, it nears pi and does not pass it
    velocity = 2 * np.cos(0.5)  # v^2 / 2 - cos(angle) = 1
    assert target.function(np.array([[0.5, velocity / 2]])) == pytest.approx(
        [4 * np.arctan(np.exp(3.0 + 2 * np.arctanh(np.tan(0.25)))) - np.pi], rel=1e-5
    )


def test_damping_brings_the_pendulum_to_rest():
    fast, slow = (dynamics(Chosen(damping, 3.0)).function(np.array([[0.05, 0.0]])) for damping in (0.0, 0.3))
    # small swings: exp(-c t / 2) (cos(w t) + c / (2 w) sin(w t)), w^2 = 1 - c^2 / 4
    w = np.sqrt(1 - 0.15**2)
    expected = 0.1 * np.exp(-0.45) * (np.cos(3 * w) + 0.15 / w * np.sin(3 * w))
    assert slow == pytest.approx([expected], rel=1e-2)
    assert abs(slow) < abs(fast)
