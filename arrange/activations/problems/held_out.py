"""Families for the final test: no search sees them."""

import numpy as np

from arrange.activations.problems.polynomials import evaluated, monomials
from arrange.activations.problems.problem import INPUTS, Target

BUMPS = (2, 6)
PIECES = (3, 8)


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
    """sin(phase + rate u + bend u^2), u a random direction's coordinate: its frequency changes with u."""
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


def _inputs(rng: np.random.Generator) -> int:
    return int(rng.integers(1, INPUTS + 1))
