import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from arrange.docids.rq import encode, fit

RNG = np.random.default_rng(0)
VECTORS_DE = RNG.normal(size=(300, 6)).astype(np.float32)


def restored(codebooks_LKE: np.ndarray, codes_DL: np.ndarray) -> np.ndarray:
    return sum(codebook_KE[codes_DL[:, level]] for level, codebook_KE in enumerate(codebooks_LKE))


def test_a_sum_of_a_coarse_and_a_fine_part_is_taken_apart() -> None:
    coarse, fine = np.array([[90, 0], [-90, 0], [0, 90]]), np.array([[0, 2], [0, -2], [3, 0]])
    part_DL = np.array([[i, j] for i in range(3) for j in range(3)] * 5)
    vectors_DE = (coarse[part_DL[:, 0]] + fine[part_DL[:, 1]]).astype(np.float32)
    codebooks_LKE = fit(vectors_DE, levels=2, codebook=3, seed=0)
    codes_DL = encode(codebooks_LKE, vectors_DE)
    assert np.abs(restored(codebooks_LKE, codes_DL) - vectors_DE).max() < 1e-4
    for level in range(2):  # a part and a code name each other
        assert len(np.unique(np.stack([part_DL[:, level], codes_DL[:, level]]), axis=1).T) == 3
    middles = np.array(sorted(codebooks_LKE[0].tolist()))
    assert np.abs(middles - [[-89, 0], [1, 90], [91, 0]]).max() < 1e-4  # the coarse parts and the mean fine one


def test_codes_are_those_of_trying_every_entry() -> None:
    codebooks_LKE = RNG.normal(size=(3, 5, 6)).astype(np.float32)
    for vector_E, codes_L in zip(VECTORS_DE[:50], encode(codebooks_LKE, VECTORS_DE[:50]), strict=True):
        rest_E = vector_E
        for codebook_KE, code in zip(codebooks_LKE, codes_L, strict=True):
            distances = [float(((rest_E - entry_E) ** 2).sum()) for entry_E in codebook_KE]
            assert code == np.argmin(distances)
            rest_E = rest_E - codebook_KE[code]


def test_every_level_leaves_less_over() -> None:
    codebooks_LKE = fit(VECTORS_DE, levels=4, codebook=8, seed=0)
    codes_DL = encode(codebooks_LKE, VECTORS_DE)
    left = [np.square(VECTORS_DE - restored(codebooks_LKE[:n], codes_DL)).mean() for n in range(1, 5)]
    assert left == sorted(left, reverse=True)
    assert left[0] < np.square(VECTORS_DE).mean()
    # Each codebook is fitted to what is left over: an entry lies near the mean of the residuals that have its code.
    rest_DE = VECTORS_DE - restored(codebooks_LKE[:3], codes_DL)
    for code in range(8):
        mine_E = rest_DE[codes_DL[:, 3] == code].mean(axis=0)
        assert np.abs(mine_E - codebooks_LKE[3, code]).max() < 0.1


def test_few_documents_are_each_an_entry_and_equal_ones_share_it() -> None:
    codebooks_LKE = fit(VECTORS_DE[:3], levels=2, codebook=8, seed=0)
    assert codebooks_LKE.shape == (2, 3, 6)
    assert np.abs(restored(codebooks_LKE, encode(codebooks_LKE, VECTORS_DE[:3])) - VECTORS_DE[:3]).max() < 1e-6
    same_DE = np.zeros((4, 6), np.float32)
    assert len(np.unique(encode(fit(same_DE, 2, 8, seed=0), same_DE), axis=0)) == 1


@pytest.mark.parametrize("threads", [1, 2])
def test_same_vectors_and_seed_give_the_same_bytes(threads: int) -> None:
    with threadpool_limits(threads):
        again = fit(VECTORS_DE.copy(), levels=2, codebook=16, seed=3)
    assert again.tobytes() == fit(VECTORS_DE, levels=2, codebook=16, seed=3).tobytes()
    assert again.dtype == np.float32
    assert again.tobytes() != fit(VECTORS_DE, levels=2, codebook=16, seed=4).tobytes()
