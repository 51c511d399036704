"""Sparse codes: the few atoms of a dictionary that approximate a vector best, largest first, as text "25,36,39".

The docIDs of arXiv 2601.05588 on ESCI: orthogonal matching pursuit (OMP), 3 non-zeros of 100. D documents, A atoms,
E numbers of a vector. scikit-learn, slow to import, is imported where it is used.
"""

import warnings

import numpy as np
from threadpoolctl import threadpool_limits

from arrange.models.vectors import Floats

NOTHING = "-"  # the docID of a vector that is 0
SAMPLE = 20_000  # documents that a dictionary is learnt from
PENALTY = 0.2  # of learning: on product titles it gave the least error with 3 atoms (1, the default, learns nothing)


@threadpool_limits.wrap(limits=1)  # sums in one order
def fit(vectors_DE: Floats, atoms: int, seed: int) -> Floats:
    """A dictionary of atoms of length 1, A x E, learnt from at most 20,000 of the documents.

    Same vectors and seed: same numbers.
    """
    from sklearn.decomposition import MiniBatchDictionaryLearning
    from sklearn.exceptions import ConvergenceWarning

    rows = np.random.default_rng(seed).permutation(len(vectors_DE))[:SAMPLE]
    learner = MiniBatchDictionaryLearning(atoms, alpha=PENALTY, fit_algorithm="cd", random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a batch's codes to 1e-7 instead of 1e-8
        learner.fit(vectors_DE[rows].astype(np.float64))
    # One layout, so that a dictionary from a file rounds as this one does.
    return np.ascontiguousarray(learner.components_, np.float32)


@threadpool_limits.wrap(limits=1)
def encode(dictionary_AE: Floats, vectors_DE: Floats, nonzeros: int) -> list[str]:
    """The numbers of each vector's `nonzeros` atoms (fewer where fewer suffice), by falling size of their coefficient.

    >>> encode(np.eye(3), np.array([[0, -5, 2], [1, 0, 0], [0, 0, 0]]), nonzeros=2)
    ['1,2', '0', '-']
    """
    from sklearn.decomposition import sparse_encode

    nonzeros = min(nonzeros, len(dictionary_AE))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # OMP warns where it ended early: fewer atoms suffice
        weights_DA = sparse_encode(vectors_DE, dictionary_AE, algorithm="omp", n_nonzero_coefs=nonzeros)
    by_size_DA = np.argsort(-np.abs(weights_DA), axis=1, kind="stable")[:, :nonzeros]
    used_DA = np.take_along_axis(weights_DA, by_size_DA, axis=1) != 0
    return [",".join(map(str, atoms[used])) or NOTHING for atoms, used in zip(by_size_DA, used_DA, strict=True)]
