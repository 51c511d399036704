"""The cut along a principal component, by hand and against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_wine
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from arrange.activations.transfer.tabular import cut, principal, tabular


def test_the_far_end_is_cut_off_and_training_standardises():
    x_ND, y_N = np.arange(20.0).reshape(10, 2), np.arange(10.0)
    one = cut("t", x_ND, y_N, np.array([3, 1, 4, 10, 5, 9, 2, 6, 8, 7]), classes=False, seed=0)
    assert (len(one.train.x_ND), len(one.valid.x_ND), len(one.shifted["end"].x_ND)) == (6, 2, 2)
    np.testing.assert_allclose(one.train.x_ND.mean(0), [0, 0], atol=1e-6)
    np.testing.assert_allclose(one.train.x_ND.std(0, correction=0), [1, 1], rtol=1e-6)
    assert one.train.y_NO.mean().item() == pytest.approx(0, abs=1e-6)
    # rows 5 and 3 are the far end, and the scale is the training rows': (y - mean) / deviation is linear in the row
    step = (one.shifted["end"].y_NO[0] - one.shifted["end"].y_NO[1]).item() / 2
    rows = torch.cat([one.train.y_NO, one.valid.y_NO, one.shifted["end"].y_NO]).flatten() / step
    offsets = (rows - rows[-1] + 3).round().int().tolist()
    assert sorted(offsets) == list(range(10))
    assert offsets[-2:] == [5, 3]


def test_components_are_scikit_learns_with_the_largest_loading_positive():
    x_ND = load_wine().data
    pca = PCA(3).fit(StandardScaler().fit_transform(x_ND))
    found = principal(x_ND, 3)
    for place, loadings in enumerate(pca.components_):
        expected = StandardScaler().fit_transform(x_ND) @ (loadings * np.sign(loadings[np.abs(loadings).argmax()]))
        np.testing.assert_allclose(found[:, place], expected, atol=1e-8)


def test_the_data_sets_are_named_once_and_every_end_has_two_classes():
    sets = tabular()
    names = [one.name for one in sets]
    assert len(set(names)) == len(names)
    assert {"diabetes 1 low", "diabetes 3 high", "wine 1 low", "breast cancer 1 high", "iris 2 low"} <= set(names)
    assert not {"breast cancer 1 low", "iris 1 low"} & set(names)  # one class alone
    for one in sets:
        assert one.source == one.name.rsplit(" ", 2)[0]
        assert one.classes == (not one.name.startswith("diabetes"))
        assert (one.shifted["end"].y_NO.var(0) > 0).any()
        assert all(part.isfinite().all() for points in (one.train, one.valid, one.shifted["end"]) for part in points)


def test_low_and_high_are_opposite_ends():
    """The far rows lie beyond all training rows, along the component and on its side."""
    by_name = {one.name: one for one in tabular()}
    for name, side in (("diabetes 1 low", -1), ("diabetes 1 high", 1)):
        one = by_name[name]
        x_ND = torch.cat([one.train.x_ND, one.valid.x_ND, one.shifted["end"].x_ND]).double().numpy()
        along_N = side * principal(x_ND, 1)[:, 0]
        assert along_N[-88:].min() >= along_N[:-88].max() - 1e-5
