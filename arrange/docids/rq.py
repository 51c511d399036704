"""Residual quantisation: a vector as the sum of one codebook entry per level, coarse first.

The docIDs of TIGER (Rajput et al. 2023, arXiv 2305.05065). TIGER learns the codebooks with an autoencoder (RQ-VAE);
here each codebook is the k-means of the residuals of the levels before it (`arrange.docids.rqvae` learns them).
D documents, L levels, K codes, E numbers of a vector. scikit-learn, slow to import, is imported where it is used.
"""

import warnings

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from arrange.docids import balance
from arrange.models.vectors import Floats

POLISH = 20  # passes over all documents
BALANCED = 4096  # documents among which codes are balanced exactly: it takes their square of memory
ROUNDS = 10  # of assignment and means

Arrays = dict[str, NDArray]


@threadpool_limits.wrap(limits=1)  # sums in one order
def fit(vectors_DE: Floats, levels: int, codebook: int, seed: int) -> Floats:
    """The codebooks, L x K x E; K is `codebook`, or D where that is less. Same vectors and seed: same numbers."""
    from sklearn.metrics import pairwise_distances_argmin

    residual_DE, codebooks = vectors_DE, []
    for level in range(levels):
        codebooks.append(_means(residual_DE, min(codebook, len(vectors_DE)), seed + level))
        residual_DE = residual_DE - codebooks[-1][pairwise_distances_argmin(residual_DE, codebooks[-1])]
    return np.stack(codebooks)


def fit_nearest(vectors_DE: Floats, levels: int, codebook: int, seed: int) -> tuple[Arrays, NDArray[np.int64]]:
    """What `fit` gives as `codebooks_LKE`, its `errors` as `error_L`, and the codes of the vectors, D x L."""
    codebooks_LKE = fit(vectors_DE, levels, codebook, seed)
    codes_DL = encode(codebooks_LKE, vectors_DE)
    return {"codebooks_LKE": codebooks_LKE, "error_L": errors(codebooks_LKE, codes_DL, vectors_DE)}, codes_DL


@threadpool_limits.wrap(limits=1)
def fit_balanced(vectors_DE: Floats, levels: int, codebook: int, seed: int) -> tuple[Arrays, NDArray[np.int64]]:
    """As `fit_nearest`, but every code has as many documents as any other, or one more; `prices_LK` too.

    k-means with a constrained assignment (`arrange.docids.balance`), so that no code is dead, whatever the vectors.
    Of more than 4,096 documents so many are drawn, and the others pay the prices, so codes are about equally used.
    `encode` gives new documents their codes; the first ones' are those that are returned. Same vectors and seed: same
    numbers.
    """
    count, codebooks, prices, codes = min(codebook, len(vectors_DE)), [], [], []
    rows = np.sort(np.random.default_rng(seed).permutation(len(vectors_DE))[: max(BALANCED, count)])
    residual_DE = vectors_DE
    for level in range(levels):
        means_KE, price_K, code_S = _balanced_means(residual_DE[rows], count, seed + level)
        code_D = _cheapest(residual_DE, means_KE, price_K)
        code_D[rows] = code_S
        codebooks.append(means_KE)
        prices.append(price_K)
        codes.append(code_D)
        residual_DE = residual_DE - means_KE[code_D]
    codebooks_LKE, codes_DL = np.stack(codebooks), np.stack(codes, axis=1)
    error_L = errors(codebooks_LKE, codes_DL, vectors_DE)
    return {"codebooks_LKE": codebooks_LKE, "prices_LK": np.stack(prices), "error_L": error_L}, codes_DL


@threadpool_limits.wrap(limits=1)
def encode(codebooks_LKE: Floats, vectors_DE: Floats, prices_LK: NDArray | None = None) -> NDArray[np.int64]:
    """The code of each level, D x L: the entry nearest to the residual of the levels before it.

    prices_LK: of balanced codes; they go onto the squared distances.

    >>> codebooks_LKE = np.array([[[0, 0], [4, 4]], [[0, 1], [1, 0]]], np.float32)
    >>> encode(codebooks_LKE, np.array([[5, 4], [0, 1]], np.float32)).tolist()
    [[1, 1], [0, 0]]
    """
    from sklearn.metrics import pairwise_distances_argmin

    residual_DE, codes = vectors_DE, []
    for level, codebook_KE in enumerate(codebooks_LKE):
        if prices_LK is None:
            codes.append(pairwise_distances_argmin(residual_DE, codebook_KE))
        else:
            codes.append(_cheapest(residual_DE, codebook_KE, prices_LK[level]))
        residual_DE = residual_DE - codebook_KE[codes[-1]]
    return np.stack(codes, axis=1)


def errors(codebooks_LKE: Floats, codes_DL: NDArray[np.int64], vectors_DE: Floats) -> NDArray[np.float64]:
    """The share of the vectors' squared lengths that the sum of the entries leaves over, after each level."""
    residual_DE, left = vectors_DE.astype(np.float64), []
    for level, codebook_KE in enumerate(codebooks_LKE):
        residual_DE = residual_DE - codebook_KE[codes_DL[:, level]]
        left.append(np.square(residual_DE).sum())
    return np.array(left) / max(np.square(vectors_DE, dtype=np.float64).sum(), np.finfo(np.float32).tiny)


def _balanced_means(vectors_SE: Floats, count: int, seed: int) -> tuple[Floats, NDArray, NDArray[np.int64]]:
    """The centroids of a balanced k-means, their prices, and the assignment."""
    means_KE, code_S = _means(vectors_SE, count, seed), np.full(len(vectors_SE), -1)
    for _ in range(ROUNDS):
        costs_SK, before_S = _costs(vectors_SE, means_KE), code_S
        code_S = balance.assign(costs_SK)
        if np.array_equal(code_S, before_S):
            break
        sums_KE = np.zeros(means_KE.shape)
        np.add.at(sums_KE, code_S, vectors_SE)
        means_KE = (sums_KE / np.bincount(code_S)[:, None]).astype(np.float32)
    costs_SK = _costs(vectors_SE, means_KE)
    code_S = balance.assign(costs_SK)
    return means_KE, balance.prices(costs_SK, code_S), code_S


def _cheapest(vectors_DE: Floats, codebook_KE: Floats, price_K: NDArray) -> NDArray[np.int64]:
    """The entry of each vector with the least squared distance and price together; some thousand vectors at once."""
    chunks = range(0, len(vectors_DE), BALANCED)
    costs = (_costs(vectors_DE[start : start + BALANCED], codebook_KE) + price_K for start in chunks)
    return np.concatenate([np.empty(0, np.int64), *(costs_CK.argmin(axis=1) for costs_CK in costs)])


def _costs(vectors_DE: Floats, codebook_KE: Floats) -> NDArray[np.float64]:
    """Squared distances, D x K."""
    from sklearn.metrics import pairwise_distances

    return pairwise_distances(vectors_DE, codebook_KE, "sqeuclidean").astype(np.float64)


def _means(vectors_DE: Floats, count: int, seed: int) -> Floats:
    """The centroids of k-means: first of small batches, then moved to the means of all their documents."""
    from sklearn.cluster import KMeans, MiniBatchKMeans
    from sklearn.exceptions import ConvergenceWarning

    rough_KE = MiniBatchKMeans(count, random_state=seed).fit(vectors_DE).cluster_centers_
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # some centroids are unused if fewer vectors differ
        return KMeans(count, init=rough_KE, n_init=1, max_iter=POLISH).fit(vectors_DE).cluster_centers_
