import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from arrange.docids import rq, rqvae

VECTORS_DE = np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)
CODEBOOKS_LKZ = torch.tensor([[[0.0, 0.0], [4.0, 4.0]], [[0.0, 1.0], [1.0, 0.0]]])


def test_quantisation_by_hand() -> None:
    """As the example of `rq.encode`: (5, 4) is (4, 4) and (1, 0), (0, 2) is (0, 0) and (0, 1)."""
    entries_LBZ, codes_BL, residuals_LBZ = rqvae.quantise(torch.tensor([[5.0, 4.0], [0.0, 2.0]]), CODEBOOKS_LKZ)
    assert codes_BL.tolist() == [[1, 1], [0, 0]]
    assert entries_LBZ.tolist() == [[[4, 4], [0, 0]], [[1, 0], [0, 1]]]
    assert residuals_LBZ.tolist() == [[[5, 4], [0, 2]], [[1, 0], [0, 2]]]


def test_the_loss_by_hand_and_its_gradient_goes_straight_through() -> None:
    batch_BE = torch.tensor([[5.0, 4.0], [0.0, 2.0]])
    encoder, decoder = torch.nn.Identity(), torch.nn.Linear(2, 2, bias=False)
    torch.nn.init.eye_(decoder.weight)
    middle_BZ, books_LKZ = batch_BE.clone().requires_grad_(), CODEBOOKS_LKZ.clone().requires_grad_()
    # The sums are (5, 4) and (0, 1): the reconstruction is off by 0 and 1. Residuals less entries: level 0: (1, 0) and
    # (0, 2), squared 1 + 4; level 1: 0 and (0, 1), squared 1. So 1 + 6 + 0.25 x 6, halved.
    loss, _, _ = rqvae._loss(middle_BZ, encoder, decoder, books_LKZ)
    assert loss.item() == pytest.approx((1 + 6 + rqvae.COMMITMENT * 6) / 2)
    (of_decoder,) = torch.autograd.grad((torch.tensor([[0.0, 2.0]]) - passed(middle_BZ[1:])).square().sum(), middle_BZ)
    assert of_decoder[1].tolist() == [0, -2 * (2 - 1)]
    loss.backward()
    # Entries are drawn to residuals alone, with a gradient of 2 (entry - residual) / B, and by no reconstruction.
    assert books_LKZ.grad is not None
    assert books_LKZ.grad.tolist() == [[[0, -2], [-1, 0]], [[0, -1], [0, 0]]]


def passed(middle_BZ: torch.Tensor) -> torch.Tensor:
    entries_LBZ, _, _ = rqvae.quantise(middle_BZ, CODEBOOKS_LKZ)
    return middle_BZ + (entries_LBZ.sum(dim=0) - middle_BZ).detach()


def test_dead_codes_begin_anew_at_a_residual_and_others_stay() -> None:
    books_LKZ, residuals_LBZ = CODEBOOKS_LKZ.clone(), torch.tensor([[[7.0, 7.0]], [[8.0, 8.0]]])
    rqvae.restart(books_LKZ, torch.tensor([[3, 0], [1, 1]]), residuals_LBZ)
    assert books_LKZ.tolist() == [[[0, 0], [7, 7]], [[0, 1], [1, 0]]]


def test_codebooks_begin_with_k_means_and_training_lowers_the_error() -> None:
    few, many = (rqvae.fit(VECTORS_DE, 2, 8, steps, seed=1) for steps in (1, 300))
    assert few["codebooks_LKZ"].shape == (2, 8, rqvae.MIDDLE)
    assert many["error_L"][1] < many["error_L"][0] < 1
    assert many["error_L"][1] < few["error_L"][1] - 0.2
    for level_D in rqvae.encode(many, VECTORS_DE).T:
        assert len(np.unique(level_D)) == 8


def test_codes_are_those_of_the_encoder_in_torch() -> None:
    arrays = rqvae.fit(VECTORS_DE, 2, 8, steps=20, seed=1)
    weight = {name: torch.from_numpy(array) for name, array in arrays.items()}
    hidden = torch.nn.functional.linear(torch.from_numpy(VECTORS_DE), weight["first_HE"], weight["first_H"]).relu()
    middle_DZ = torch.nn.functional.linear(hidden, weight["second_ZH"], weight["second_Z"])
    expected = rq.encode(arrays["codebooks_LKZ"], middle_DZ.numpy())
    assert np.array_equal(rqvae.encode(arrays, VECTORS_DE), expected)
    assert np.array_equal(rqvae.quantise(middle_DZ, weight["codebooks_LKZ"])[1].numpy(), expected)


@pytest.mark.parametrize("threads", [1, 2])
def test_same_vectors_and_seed_give_the_same_bytes(threads: int) -> None:
    before, state = torch.get_num_threads(), torch.get_rng_state()
    with threadpool_limits(threads):
        one, two, other = (rqvae.fit(VECTORS_DE.copy(), 2, 8, steps=60, seed=seed) for seed in (3, 3, 4))
    assert {name: array.tobytes() for name, array in one.items()} == {
        name: array.tobytes() for name, array in two.items()
    }
    assert one["codebooks_LKZ"].tobytes() != other["codebooks_LKZ"].tobytes()
    assert torch.get_num_threads() == before
    assert torch.equal(torch.get_rng_state(), state)
