"""Random polynomials in one to four variables."""

from itertools import combinations_with_replacement

import numpy as np

from arrange.activations.problems.problem import INPUTS, Target

DEGREES = (2, 5)  # of the whole polynomial


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
