"""Harmonics: Fourier series on a line, spherical harmonics on a patch of the sphere."""

import numpy as np
from scipy.special import sph_harm_y

from arrange.activations.problems.problem import Target

PERIODS = (1.5, 3.0)  # of the fundamental, in units in which the training box is 2 wide
OVERTONES = 3
DEGREES = (2, 4)  # of spherical harmonics


def harmonic(rng: np.random.Generator) -> Target:
    """One of the two, with equal chances."""
    return fourier(rng) if rng.random() < 0.5 else spherical(rng)


def fourier(rng: np.random.Generator) -> Target:
    """sum_k a_k cos(2 pi k x / period + phase_k), k = 1 .. K, a_k normal with standard deviation 1 / k."""
    k_K = np.arange(1, rng.integers(1, OVERTONES + 1) + 1)
    period = rng.uniform(*PERIODS)
    a_K, phase_K = rng.standard_normal(len(k_K)) / k_K, rng.uniform(0, 2 * np.pi, len(k_K))
    return Target(1, lambda x_N1: np.cos(2 * np.pi / period * x_N1 * k_K + phase_K) @ a_K, about=f"period {period:.2f}")


def spherical(rng: np.random.Generator) -> Target:
    """Real spherical harmonics up to a random degree, with standard normal coefficients.

    The two inputs are angles: the polar one is pi / 2 + x_0 pi / 4, the azimuth x_1 pi / 2. The training box is so the
    middle half of the southern and northern latitudes on one half of the sphere; the test box looks around.
    """
    degree = int(rng.integers(DEGREES[0], DEGREES[1] + 1))
    orders = [(n, m) for n in range(1, degree + 1) for m in range(-n, n + 1)]
    c_H = rng.standard_normal(len(orders))

    def values(x_N2: np.ndarray) -> np.ndarray:
        polar_N, azimuth_N = np.pi / 2 + x_N2[:, 0] * np.pi / 4, x_N2[:, 1] * np.pi / 2
        return np.stack([real(n, m, polar_N, azimuth_N) for n, m in orders], axis=1) @ c_H

    return Target(2, values, about=f"spherical, degree {degree}")


def real(n: int, m: int, polar_N: np.ndarray, azimuth_N: np.ndarray) -> np.ndarray:
    """The real spherical harmonic of degree n and order m, orthonormal on the sphere."""
    values_N = sph_harm_y(n, abs(m), polar_N, azimuth_N)
    if m == 0:
        return values_N.real
    return np.sqrt(2) * (-1) ** m * (values_N.real if m > 0 else values_N.imag)
