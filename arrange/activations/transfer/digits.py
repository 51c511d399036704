"""Handwritten digits: training on clean images, tests on rotated, noisy and partly hidden ones."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import rotate
from sklearn.datasets import load_digits

from arrange.activations.transfer.networks import DataSet, Points

PIXEL = 16.0  # the brightest; images are 8 x 8
ROTATIONS = (10, 20, 30, 40)  # degrees
NOISES = (0.15, 0.3, 0.45, 0.6)  # standard deviation, as a share of the brightest pixel
HIDDEN = (2, 3, 4, 5)  # side of the black square, pixels


def digits(seed: int = 0) -> DataSet:
    """The 1,797 images that scikit-learn ships: 60% to train, 10% to validate, 30% to test under each shift.

    There are twelve shifts, each a problem: with nine, a signed-rank test of two dozen functions could not be
    significant after Holm's correction. Pixels are standardised by the mean and deviation of all training pixels.
    """
    data = load_digits()
    rng = np.random.default_rng(seed)
    train_N, valid_N, test_N = np.split(rng.permutation(len(data.images)), [1078, 1258])
    images_N88, test_N88 = data.images / PIXEL, data.images[test_N] / PIXEL
    mean, deviation = images_N88[train_N].mean(), images_N88[train_N].std()

    def points(shown_N88: NDArray, rows_N: NDArray) -> Points:
        x_ND = (shown_N88.reshape(len(rows_N), -1) - mean) / deviation
        return Points(torch.tensor(x_ND, dtype=torch.float32), torch.eye(10)[data.target[rows_N]])

    shifts = {f"rotated {angle}": rotated(test_N88, angle) for angle in ROTATIONS}
    shifts |= {f"noise {share}": noisy(test_N88, share, rng) for share in NOISES}
    shifts |= {f"hidden {side}": hidden(test_N88, side, rng) for side in HIDDEN}
    shifted = {name: points(shown_N88, test_N) for name, shown_N88 in shifts.items()}
    train, valid = (points(images_N88[rows_N], rows_N) for rows_N in (train_N, valid_N))
    return DataSet("digits", "digits", True, train, valid, shifted)


def rotated(images_N88: NDArray, angle: float) -> NDArray:
    """Turned about the centre by `angle` degrees, bilinear, black around."""
    return rotate(images_N88, angle, axes=(1, 2), reshape=False, order=1)


def noisy(images_N88: NDArray, deviation: float, rng: np.random.Generator) -> NDArray:
    """Gaussian noise added to every pixel; brightness stays within 0 and 1."""
    return np.clip(images_N88 + deviation * rng.standard_normal(images_N88.shape), 0, 1)


def hidden(images_N88: NDArray, side: int, rng: np.random.Generator) -> NDArray:
    """A black square of `side` pixels somewhere in each image."""
    count, height, width = images_N88.shape
    top_N, left_N = rng.integers(height - side + 1, size=count), rng.integers(width - side + 1, size=count)
    row_H, column_W = np.arange(height), np.arange(width)
    inside_NH = (row_H >= top_N[:, None]) & (row_H < top_N[:, None] + side)
    inside_NW = (column_W >= left_N[:, None]) & (column_W < left_N[:, None] + side)
    return np.where(inside_NH[:, :, None] & inside_NW[:, None, :], 0.0, images_N88)
