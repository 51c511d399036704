import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from arrange.docids import rq
from arrange.docids.rq import encode, errors, fit, fit_balanced

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


def test_balanced_by_hand() -> None:
    """Three points near 0 and one far away: k-means would part 3 and 1, balanced codes part 2 and 2."""
    vectors_DE = np.array([[0.0, 0.0], [0.2, 0.0], [0.3, 0.0], [9.0, 0.0]], np.float32)
    arrays, codes_DL = fit_balanced(vectors_DE, levels=1, codebook=2, seed=0)
    low, high = codes_DL[0, 0], codes_DL[3, 0]
    assert codes_DL[:, 0].tolist() == [low, low, high, high]
    assert np.abs(arrays["codebooks_LKE"][0, [low, high]] - [[0.1, 0], [4.65, 0]]).max() < 1e-6
    left = [0.1**2 * 2 + 4.35**2 * 2]
    assert arrays["error_L"] == pytest.approx(np.array(left) / (0.2**2 + 0.3**2 + 9**2))
    # 0.29 is nearer to 0.1 than to 4.65, but as 0.3 it pays the price; so does nobody below 0.2.
    later = encode(arrays["codebooks_LKE"], np.array([[0.29, 0], [0.15, 0]], np.float32), arrays["prices_LK"])
    assert later[:, 0].tolist() == [high, low]


@pytest.mark.parametrize("same", [False, True])
def test_every_code_of_every_level_is_used_as_often_as_any_other(same: bool) -> None:
    vectors_DE = np.ones((50, 6), np.float32) if same else VECTORS_DE
    arrays, codes_DL = fit_balanced(vectors_DE, levels=3, codebook=16, seed=0)
    for level in range(3):
        assert np.ptp(np.bincount(codes_DL[:, level], minlength=16)) <= 1
    assert arrays["error_L"] == pytest.approx(errors(arrays["codebooks_LKE"], codes_DL, vectors_DE))
    again, same_DL = fit_balanced(vectors_DE.copy(), levels=3, codebook=16, seed=0)
    assert same_DL.tobytes() == codes_DL.tobytes()
    assert {name: array.tobytes() for name, array in again.items()} == {
        name: array.tobytes() for name, array in arrays.items()
    }


def test_documents_beyond_the_sample_pay_the_prices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rq, "BALANCED", 100)
    scale_D = RNG.choice([0.05, 1.0], len(VECTORS_DE), p=[0.7, 0.3])  # most documents are near one point
    vectors_DE = VECTORS_DE * scale_D[:, None].astype(np.float32)
    arrays, codes_DL = fit_balanced(vectors_DE, levels=2, codebook=5, seed=0)
    priced_DL = encode(arrays["codebooks_LKE"], vectors_DE, arrays["prices_LK"])
    assert (priced_DL != codes_DL).any(axis=1).sum() <= 100  # those of the sample that are at a tie
    balanced_K = np.bincount(codes_DL[:, 0], minlength=5)
    nearest_K = np.bincount(encode(fit(vectors_DE, 1, 5, 0), vectors_DE)[:, 0], minlength=5)
    assert balanced_K.min() >= 100 // 5
    assert balanced_K.max() < nearest_K.max() / 1.5


def test_errors_by_hand() -> None:
    codebooks_LKE = np.array([[[3, 0]], [[0, 1]]], np.float32)
    error_L = errors(codebooks_LKE, np.zeros((1, 2), int), np.array([[3, 4]], np.float32))
    assert error_L.tolist() == [16 / 25, 9 / 25]
    assert errors(codebooks_LKE * 0, np.zeros((1, 2), int), np.zeros((1, 2), np.float32)).tolist() == [0, 0]
