"""Families of functions to learn.

To add one, write its function here and name it in RANDOM; then a rung in params.yaml can use it.
Shapes: N points, D inputs, K terms of a sum, P monomials.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Literal

import numpy as np

INPUTS = 4  # columns of every problem's inputs; a function of fewer leaves the last ones at zero
DEGREES = (2, 5)  # of polynomials
PERIODS = (1.5, 3.0)  # of a Fourier series' first term; the training box is 2 wide
OVERTONES = 3
SPHERICAL_DEGREES = (2, 4)
BUMPS = (2, 6)
PIECES = (3, 8)
TERMS = (2, 5)  # of the sums `growth`, `bounded` and `steps`
WAVES = (1, 3)
FREQUENCIES = (4.0, 8.0)  # of waves, radians per unit: 1.3 to 2.5 periods in the training box along each direction
FEATURES = 64  # waves of a random field
LENGTHS = (0.4, 1.0)  # of a random field
DURATIONS = (1.0, 3.0)  # of a pendulum's motion; a period of small swings is 2 pi
MOTION_STEPS = 40

Function = Callable[[np.ndarray], np.ndarray]  # x_ND in units of the training box -> y_N


@dataclass(frozen=True)
class Target:
    """A function to learn."""

    inputs: int
    function: Function
    upwards: bool = False  # the test box reaches upwards only
    about: str = ""


def polynomial(rng: np.random.Generator) -> Target:
    """sum c_p x^p over all monomials up to a random degree, c_p standard normal."""
    inputs, degree = int(rng.integers(1, INPUTS + 1)), int(rng.integers(DEGREES[0], DEGREES[1] + 1))
    powers_PD = monomials(inputs, degree)
    c_P = rng.standard_normal(len(powers_PD))
    return Target(inputs, lambda x_ND: evaluated(x_ND, powers_PD, c_P), about=f"degree {degree}")


def monomials(inputs: int, degree: int) -> np.ndarray:
    """The exponents of all monomials up to a degree, P x D.

    >>> monomials(2, 1).tolist()
    [[0, 0], [1, 0], [0, 1]]
    """
    rows = [
        np.bincount(np.array(chosen, dtype=int), minlength=inputs)
        for total in range(degree + 1)
        for chosen in combinations_with_replacement(range(inputs), total)
    ]
    return np.stack(rows)


def evaluated(x_ND: np.ndarray, powers_PD: np.ndarray, c_P: np.ndarray) -> np.ndarray:
    """The polynomial's values."""
    return (x_ND[:, None, :] ** powers_PD).prod(axis=2) @ c_P


def harmonic(rng: np.random.Generator) -> Target:
    """A Fourier series or spherical harmonics, with equal probability."""
    return fourier(rng) if rng.random() < 0.5 else spherical(rng)


def fourier(rng: np.random.Generator) -> Target:
    """sum_k a_k cos(2 pi k x / period + phase_k), k = 1 .. K, a_k normal with standard deviation 1 / k."""
    k_K = np.arange(1, rng.integers(1, OVERTONES + 1) + 1)
    period = rng.uniform(*PERIODS)
    a_K, phase_K = rng.standard_normal(len(k_K)) / k_K, rng.uniform(0, 2 * np.pi, len(k_K))
    return Target(1, lambda x_N1: np.cos(2 * np.pi / period * x_N1 * k_K + phase_K) @ a_K, about=f"period {period:.2f}")


def spherical(rng: np.random.Generator) -> Target:
    """Real spherical harmonics up to a random degree, with standard normal coefficients.

    The two inputs are angles: the polar one is pi / 2 + x_0 pi / 4, the azimuth x_1 pi / 2. So the training box is the
    middle half of the latitudes on one half of the sphere, and the test box reaches beyond it.
    """
    degree = int(rng.integers(SPHERICAL_DEGREES[0], SPHERICAL_DEGREES[1] + 1))
    orders = [(n, m) for n in range(1, degree + 1) for m in range(-n, n + 1)]
    c_H = rng.standard_normal(len(orders))

    def values(x_N2: np.ndarray) -> np.ndarray:
        polar_N, azimuth_N = np.pi / 2 + x_N2[:, 0] * np.pi / 4, x_N2[:, 1] * np.pi / 2
        return np.stack([real(n, m, polar_N, azimuth_N) for n, m in orders], axis=1) @ c_H

    return Target(2, values, about=f"spherical, degree {degree}")


def real(n: int, m: int, polar_N: np.ndarray, azimuth_N: np.ndarray) -> np.ndarray:
    """The real spherical harmonic of degree n and order m, orthonormal on the sphere."""
    from scipy.special import sph_harm_y  # slow to import, and a flow that reads its settings imports this module

    values_N = sph_harm_y(n, abs(m), polar_N, azimuth_N)
    if m == 0:
        return values_N.real
    return np.sqrt(2) * (-1) ** m * (values_N.real if m > 0 else values_N.imag)


def rational(rng: np.random.Generator) -> Target:
    """p(x) / (1 + q(x)^2), p of degree 3 and q of degree 2 with standard normal coefficients."""
    inputs = _inputs(rng)
    cubic_PD, square_QD = monomials(inputs, 3), monomials(inputs, 2)
    p_P, q_Q = rng.standard_normal(len(cubic_PD)), rng.standard_normal(len(square_QD))
    return Target(inputs, lambda x_ND: evaluated(x_ND, cubic_PD, p_P) / (1 + evaluated(x_ND, square_QD, q_Q) ** 2))


def radial(rng: np.random.Generator) -> Target:
    """sum_k a_k exp(-|x - c_k|^2 / (2 s_k^2)): bumps with centres in [-1.5, 1.5]^D and widths from 0.3 to 1."""
    inputs, bumps = _inputs(rng), int(rng.integers(BUMPS[0], BUMPS[1] + 1))
    c_KD, s_K = rng.uniform(-1.5, 1.5, (bumps, inputs)), rng.uniform(0.3, 1, bumps)
    a_K = rng.standard_normal(bumps)

    def values(x_ND: np.ndarray) -> np.ndarray:
        square_NK = ((x_ND[:, None] - c_KD) ** 2).sum(axis=2)
        return np.exp(-square_NK / (2 * s_K**2)) @ a_K

    return Target(inputs, values)


def chirp(rng: np.random.Generator) -> Target:
    """sin(phase + rate u + bend u^2), u the coordinate along a random direction: the frequency changes with u."""
    inputs = _inputs(rng)
    direction_D = rng.standard_normal(inputs)
    direction_D /= np.linalg.norm(direction_D)
    phase, rate, bend = rng.uniform(0, 2 * np.pi), rng.uniform(1, 3), rng.uniform(0.5, 1.5)

    def values(x_ND: np.ndarray) -> np.ndarray:
        u_N = x_ND @ direction_D
        return np.sin(phase + rate * u_N + bend * u_N**2)

    return Target(inputs, values)


def piecewise(rng: np.random.Generator) -> Target:
    """sum_k a_k |w_k x - b_k| + d_k [w_k x > b_k]: linear pieces with bends, and smaller jumps, at random planes."""
    inputs, pieces = _inputs(rng), int(rng.integers(PIECES[0], PIECES[1] + 1))
    w_KD = rng.standard_normal((pieces, inputs))
    w_KD /= np.linalg.norm(w_KD, axis=1, keepdims=True)
    b_K, a_K, d_K = rng.uniform(-1, 1, pieces), rng.standard_normal(pieces), rng.standard_normal(pieces) / 4

    def values(x_ND: np.ndarray) -> np.ndarray:
        side_NK = x_ND @ w_KD.T - b_K
        return np.abs(side_NK) @ a_K + (side_NK > 0) @ d_K

    return Target(inputs, values)


def growth(rng: np.random.Generator) -> Target:
    """sum_k a_k exp(w_k x), a_k standard normal, w_k in a random direction, of length 0.5 to 2: exponential growth."""
    inputs, terms = _inputs(rng), _count(rng, TERMS)
    w_KD = _directions(rng, terms, inputs) * rng.uniform(0.5, 2, (terms, 1))
    a_K = rng.standard_normal(terms)
    return Target(inputs, lambda x_ND: np.exp(x_ND @ w_KD.T) @ a_K)


def bounded(rng: np.random.Generator) -> Target:
    """sum_k a_k tanh(s_k (w_k x - b_k)): smooth steps of steepness 1 to 4 at random planes, flat far away."""
    inputs, terms = _inputs(rng), _count(rng, TERMS)
    w_KD, b_K, s_K = _directions(rng, terms, inputs), rng.uniform(-1, 1, terms), rng.uniform(1, 4, terms)
    a_K = rng.standard_normal(terms)
    return Target(inputs, lambda x_ND: np.tanh(s_K * (x_ND @ w_KD.T - b_K)) @ a_K)


def steps(rng: np.random.Generator) -> Target:
    """sum_k a_k [w_k x > b_k]: constant between random planes, with a jump at each of them."""
    inputs, terms = _inputs(rng), _count(rng, TERMS)
    w_KD, b_K, a_K = _directions(rng, terms, inputs), rng.uniform(-0.8, 0.8, terms), rng.standard_normal(terms)
    return Target(inputs, lambda x_ND: (x_ND @ w_KD.T > b_K) @ a_K)


def waves(rng: np.random.Generator) -> Target:
    """sum_k a_k sin(f_k w_k x + phase_k): plane waves of high frequency in one or two inputs."""
    inputs, terms = int(rng.integers(1, 3)), _count(rng, WAVES)
    w_KD = _directions(rng, terms, inputs) * rng.uniform(*FREQUENCIES, (terms, 1))
    phase_K, a_K = rng.uniform(0, 2 * np.pi, terms), rng.standard_normal(terms)
    return Target(inputs, lambda x_ND: np.sin(x_ND @ w_KD.T + phase_K) @ a_K)


def noise(rng: np.random.Generator) -> Target:
    """A random field: Gaussian, stationary, correlation exp(-|x - y|^2 / (2 l^2)), l from 0.4 to 1.

    It is a sum of waves with normal frequencies (random Fourier features, Rahimi and Recht 2007).
    """
    inputs = _inputs(rng)
    w_KD = rng.standard_normal((FEATURES, inputs)) / rng.uniform(*LENGTHS)
    phase_K = rng.uniform(0, 2 * np.pi, FEATURES)
    return Target(inputs, lambda x_ND: np.cos(x_ND @ w_KD.T + phase_K).sum(axis=1) * np.sqrt(2 / FEATURES))


def modular(rng: np.random.Generator) -> Target:
    """(w x + b) modulo 1, the coordinate along a random direction in units of a period: modular arithmetic.

    The period is 0.8 to 2, so a line through the training box has one to three of the jumps.
    """
    inputs = _inputs(rng)
    w_1D, offset = _directions(rng, 1, inputs) / rng.uniform(0.8, 2), rng.uniform()
    return Target(inputs, lambda x_ND: (x_ND @ w_1D[0] + offset) % 1)


def dynamics(rng: np.random.Generator) -> Target:
    """The angle of a damped pendulum after some time: angle'' = -sin(angle) - damping angle'.

    The two inputs are its first angle and its first velocity, in units of 2. Solved by Runge and Kutta's method.
    """
    damping, duration = rng.uniform(0, 0.3), rng.uniform(*DURATIONS)

    def values(x_N2: np.ndarray) -> np.ndarray:
        state_N2, step = 2 * x_N2, duration / MOTION_STEPS
        for _ in range(MOTION_STEPS):
            state_N2 = _runge_kutta(state_N2, step, damping)
        return state_N2[:, 0]

    return Target(2, values, about=f"duration {duration:.2f}")


def _runge_kutta(state_N2: np.ndarray, step: float, damping: float) -> np.ndarray:
    """The pendulum's angles and velocities after one step of the fourth order."""

    def slope(at_N2: np.ndarray) -> np.ndarray:
        return np.stack([at_N2[:, 1], -np.sin(at_N2[:, 0]) - damping * at_N2[:, 1]], axis=1)

    first = slope(state_N2)
    second = slope(state_N2 + step / 2 * first)
    third = slope(state_N2 + step / 2 * second)
    fourth = slope(state_N2 + step * third)
    return state_N2 + step / 6 * (first + 2 * second + 2 * third + fourth)


def _inputs(rng: np.random.Generator) -> int:
    return int(rng.integers(1, INPUTS + 1))


def _count(rng: np.random.Generator, bounds: tuple[int, int]) -> int:
    """A number from the first to the last of two, both included."""
    return int(rng.integers(bounds[0], bounds[1] + 1))


def _directions(rng: np.random.Generator, count: int, inputs: int) -> np.ndarray:
    """Random directions, K x D, of length 1."""
    w_KD = rng.standard_normal((count, inputs))
    return w_KD / np.linalg.norm(w_KD, axis=1, keepdims=True)


RANDOM: dict[str, Callable[[np.random.Generator], Target]] = {
    "polynomials": polynomial,
    "harmonics": harmonic,
    "rational": rational,
    "radial": radial,
    "chirp": chirp,
    "piecewise": piecewise,
    "growth": growth,
    "bounded": bounded,
    "steps": steps,
    "waves": waves,
    "noise": noise,
    "modular": modular,
    "dynamics": dynamics,
}
LISTED: dict[str, Literal["search", "test"]] = {"feynman": "search", "feynman_test": "test"}  # splits of feynman.csv
FAMILIES = (*RANDOM, *LISTED)
