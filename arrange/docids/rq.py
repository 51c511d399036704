"""Residual quantisation: a vector as the sum of one codebook entry per level, coarse first.

The docIDs of TIGER (Rajput et al. 2023, arXiv 2305.05065). TIGER learns the codebooks with an autoencoder (RQ-VAE);
here each codebook is the k-means of the residuals of the levels before it.
D documents, L levels, K codes, E numbers of a vector. scikit-learn, slow to import, is imported where it is used.
"""

import warnings

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from arrange.models.vectors import Floats

POLISH = 20  # passes over all documents


@threadpool_limits.wrap(limits=1)  # sums in one order
def fit(vectors_DE: Floats, levels: int, codebook: int, seed: int) -> Floats:
    """The codebooks, L x K x E; K is `codebook`, or D where that is less. Same vectors and seed: same numbers."""
    from sklearn.metrics import pairwise_distances_argmin

    residual_DE, codebooks = vectors_DE, []
    for level in range(levels):
        codebooks.append(_means(residual_DE, min(codebook, len(vectors_DE)), seed + level))
        residual_DE = residual_DE - codebooks[-1][pairwise_distances_argmin(residual_DE, codebooks[-1])]
    return np.stack(codebooks)


@threadpool_limits.wrap(limits=1)
def encode(codebooks_LKE: Floats, vectors_DE: Floats) -> NDArray[np.int64]:
    """The code of each level, D x L: the entry nearest to the residual of the levels before it.

    >>> codebooks_LKE = np.array([[[0, 0], [4, 4]], [[0, 1], [1, 0]]], np.float32)
    >>> encode(codebooks_LKE, np.array([[5, 4], [0, 1]], np.float32)).tolist()
    [[1, 1], [0, 0]]
    """
    from sklearn.metrics import pairwise_distances_argmin

    residual_DE, codes = vectors_DE, []
    for codebook_KE in codebooks_LKE:
        codes.append(pairwise_distances_argmin(residual_DE, codebook_KE))
        residual_DE = residual_DE - codebook_KE[codes[-1]]
    return np.stack(codes, axis=1)


def _means(vectors_DE: Floats, count: int, seed: int) -> Floats:
    """The centroids of k-means: first of small batches, then moved to the means of all their documents."""
    from sklearn.cluster import KMeans, MiniBatchKMeans
    from sklearn.exceptions import ConvergenceWarning

    rough_KE = MiniBatchKMeans(count, random_state=seed).fit(vectors_DE).cluster_centers_
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # some centroids are unused if fewer vectors differ
        return KMeans(count, init=rough_KE, n_init=1, max_iter=POLISH).fit(vectors_DE).cluster_centers_
