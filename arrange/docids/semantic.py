"""Hierarchical k-means: clusters are split into clusters until each is small.

The "semantically structured identifiers" of DSI (Tay et al. 2022, arXiv 2202.06991). D documents, N clusters
numbered breadth first from the root, K children of a cluster at most, E numbers of a vector.
scikit-learn, slow to import, is imported where it is used.
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from arrange.docids.codes import LEVELS
from arrange.models.vectors import Floats

Ints = NDArray[np.int64]


@threadpool_limits.wrap(limits=1)  # sums in one order
def fit(vectors_DE: Floats, clusters: int, leaf: int, seed: int) -> dict[str, NDArray]:
    """The tree of clusters: `centroids_NE` and `first_child_N1`, where each one's children begin (as in the trie).

    A cluster of more than `leaf` documents is split into `clusters`, or as many as it has different vectors. A
    cluster of equal vectors is not split, nor is one at the last of the 13 levels.
    Same vectors and seed: same numbers.
    """
    from sklearn.metrics import pairwise_distances_argmin

    centroids, first_child, nodes = [np.zeros_like(vectors_DE[:1])], [], 1
    waiting = deque([(np.arange(len(vectors_DE)), 0)])
    while waiting:
        rows, depth = waiting.popleft()
        first_child.append(nodes)
        children_KE = _split(vectors_DE[rows], clusters if len(rows) > leaf and depth < len(LEVELS) else 1, seed)
        if len(children_KE) > 1:
            nearest = pairwise_distances_argmin(vectors_DE[rows], children_KE)
            waiting.extend((rows[nearest == child], depth + 1) for child in range(len(children_KE)))
            centroids.append(children_KE)
            nodes += len(children_KE)
    return {"centroids_NE": np.concatenate(centroids), "first_child_N1": np.array([*first_child, nodes])}


@threadpool_limits.wrap(limits=1)
def encode(centroids_NE: Floats, first_child_N1: Ints, vectors_DE: Floats) -> list[tuple[int, ...]]:
    """The path of each vector down the tree: at every cluster the number of the nearest child, until it has none."""
    from sklearn.metrics import pairwise_distances_argmin

    paths: list[tuple[int, ...]] = [()] * len(vectors_DE)
    waiting: deque[tuple[int, Ints, tuple[int, ...]]] = deque([(0, np.arange(len(vectors_DE)), ())])
    while waiting:
        node, rows, path = waiting.popleft()
        first, end = first_child_N1[node : node + 2]
        if first == end or not len(rows):
            for row in rows.tolist():
                paths[row] = path
            continue
        nearest = pairwise_distances_argmin(vectors_DE[rows], centroids_NE[first:end])
        waiting.extend((first + child, rows[nearest == child], (*path, child)) for child in range(end - first))
    return paths


def depth(first_child_N1: Ints) -> int:
    """The length of the longest path."""
    levels, end = 0, 1
    while end < len(first_child_N1) - 1:
        levels, end = levels + 1, int(first_child_N1[end])
    return levels


def _split(vectors_DE: Floats, clusters: int, seed: int) -> Floats:
    """The centroids of `clusters` clusters, or of as many as there are different vectors."""
    from sklearn.cluster import KMeans

    clusters = min(clusters, len(np.unique(vectors_DE, axis=0)) if clusters > 1 else 1)
    return KMeans(clusters, random_state=seed).fit(vectors_DE).cluster_centers_ if clusters > 1 else vectors_DE[:1]
