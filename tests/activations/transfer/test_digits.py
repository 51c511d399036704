"""The shifts by brute force, and that training never sees a test image."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from arrange.activations.transfer.digits import digits, hidden, noisy, rotated

IMAGES_N88 = load_digits().images[:50] / 16


def test_the_parts_are_disjoint_and_have_all_classes():
    one = digits()
    parts = [one.train, one.valid, *one.shifted.values()]
    assert [len(part.x_ND) for part in parts] == [1078, 180] + [539] * 12
    assert list(one.shifted) == [
        *("rotated 10", "rotated 20", "rotated 30", "rotated 40"),
        *("noise 0.15", "noise 0.3", "noise 0.45", "noise 0.6"),
        *("hidden 2", "hidden 3", "hidden 4", "hidden 5"),
    ]
    assert all((part.y_NO.sum(0) > 0).all() and (part.y_NO.sum(1) == 1).all() for part in parts)
    labels = torch.cat([one.train.y_NO, one.valid.y_NO, one.shifted["hidden 2"].y_NO]).sum(0)
    assert labels.tolist() == np.bincount(load_digits().target).tolist()


def test_training_and_validation_are_clean_images_and_test_images_are_others():
    """Undoing the standardisation gives images of the data set; the parts share none (all 1,797 differ)."""
    known = {image.tobytes(): row for row, image in enumerate(load_digits().images.reshape(-1, 64).astype(np.uint8))}
    one = digits()
    train_N88 = load_digits().images / 16
    black = one.train.x_ND.min()
    scale = one.train.x_ND.max() - black

    def rows(x_ND):
        return [known[x.tobytes()] for x in ((x_ND - black) / scale * 16).round().numpy().astype(np.uint8)]

    train, valid = rows(one.train.x_ND), rows(one.valid.x_ND)
    assert len(set(train) | set(valid)) == 1078 + 180
    chosen_N88 = train_N88[train]
    assert one.train.x_ND[0, 0].item() == pytest.approx(
        (chosen_N88[0, 0, 0] - chosen_N88.mean()) / chosen_N88.std(), abs=1e-6
    )
    seen_ND = torch.cat([one.train.x_ND, one.valid.x_ND])
    hidden_ND = one.shifted["hidden 2"].x_ND  # differs from its own clean image in 4 pixels at most
    nearest = [int((seen_ND != x).sum(1).min()) for x in hidden_ND[:100]]
    assert min(nearest) > 4


def test_a_turn_is_a_turn():
    np.testing.assert_allclose(rotated(IMAGES_N88, 90), np.rot90(IMAGES_N88, axes=(1, 2)), atol=1e-9)
    np.testing.assert_allclose(rotated(IMAGES_N88, 0), IMAGES_N88)
    middle = np.zeros((1, 8, 8))
    middle[0, 3:5, 3:5] = 1.0
    assert rotated(middle, 45)[0, :2].sum() == 0  # about the centre


def test_noise_has_its_deviation_and_stays_within_the_brightness():
    grey = np.full((200, 8, 8), 0.5)
    found = noisy(grey, 0.1, np.random.default_rng(0))
    assert found.std() == pytest.approx(0.1, rel=0.03)
    assert found.mean() == pytest.approx(0.5, abs=0.003)
    found = noisy(IMAGES_N88, 0.5, np.random.default_rng(0))
    assert (found.min(), found.max()) == (0, 1)


@pytest.mark.parametrize("side", [2, 4])
def test_a_square_is_hidden_anywhere_and_nothing_else_changes(side):
    white = np.ones((3000, 8, 8))
    found = hidden(white, side, np.random.default_rng(0))
    corners = set()
    for image in found:
        top, left = np.argwhere(image == 0)[0]
        corners.add((top, left))
        expected = np.ones((8, 8))
        expected[top : top + side, left : left + side] = 0
        np.testing.assert_array_equal(image, expected)
    assert len(corners) == (9 - side) ** 2
    assert set(np.unique(white)) == {1.0}


def test_the_seed_decides_everything():
    first, same, other = digits(1), digits(1), digits(2)
    for part in ("noise 0.3", "hidden 3"):
        assert torch.equal(first.shifted[part].x_ND, same.shifted[part].x_ND)
        assert not torch.equal(first.shifted[part].x_ND, other.shifted[part].x_ND)
