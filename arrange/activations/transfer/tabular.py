"""Tables split by covariate shift: training on most rows, tests on the rows far out along a principal component."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine

from arrange.activations.transfer.networks import DataSet, Points

TABLES: dict[str, Callable[..., Any]] = {  # scikit-learn ships them; diabetes is a regression
    "diabetes": load_diabetes,
    "wine": load_wine,
    "breast cancer": load_breast_cancer,
    "iris": load_iris,
}
COMPONENTS = 3
FAR = 0.2  # share of the rows that are the far end
VALID = 0.2  # share of the others that validate


def tabular(seed: int = 0) -> list[DataSet]:
    """Up to six data sets of each table: the low or the high end along one of three components is cut off for the test.

    An end that holds a single class is left out, because a constant guess would be right there.
    """
    sets = []
    for name, load in TABLES.items():
        x_ND, y_N = load(return_X_y=True)
        classes = name != "diabetes"
        for component, scores_N in enumerate(principal(x_ND, COMPONENTS).T, start=1):
            for end, along_N in (("low", -scores_N), ("high", scores_N)):
                one = cut(f"{name} {component} {end}", x_ND, y_N, along_N, classes, seed)
                sets.append(replace(one, source=name))
    return [one for one in sets if (one.shifted["end"].y_NO.var(0) > 0).any()]


def cut(name: str, x_ND: NDArray, y_N: NDArray, along_N: NDArray, classes: bool, seed: int) -> DataSet:
    """The data set whose shifted points are the rows with the highest `along_N`.

    Inputs, and targets that are numbers, are standardised by the training rows.
    """
    order_N = np.argsort(along_N, kind="stable")
    near_N, far_N = np.split(order_N, [len(order_N) - round(FAR * len(order_N))])
    near_N = np.random.default_rng(seed).permutation(near_N)
    valid_N, train_N = np.split(near_N, [round(VALID * len(near_N))])
    x_ND = standardised(x_ND, train_N)
    y_NO = np.eye(y_N.max() + 1)[y_N] if classes else standardised(y_N[:, None], train_N)
    train, valid, far = (
        Points(*(torch.tensor(part[rows_N], dtype=torch.float32) for part in (x_ND, y_NO)))
        for rows_N in (train_N, valid_N, far_N)
    )
    return DataSet(name, "tabular", classes, train, valid, {"end": far})


def principal(x_ND: NDArray, count: int) -> NDArray:
    """The rows' places along the first principal components of the standardised columns, N x count.

    Each component has the direction in which its largest loading is positive.
    """
    z_ND = standardised(x_ND, np.arange(len(x_ND)))
    loadings_CD = np.linalg.svd(z_ND, full_matrices=False)[2][:count]
    largest_C = np.abs(loadings_CD).argmax(1)
    signs_C = np.sign(loadings_CD[np.arange(count), largest_C])
    return z_ND @ (signs_C[:, None] * loadings_CD).T


def standardised(values_ND: NDArray, rows_N: NDArray) -> NDArray:
    """Each column with mean 0 and deviation 1 over the given rows."""
    return (values_ND - values_ND[rows_N].mean(0)) / values_ND[rows_N].std(0)
