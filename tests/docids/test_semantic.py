from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arrange.docids.codes import LEVELS
from arrange.docids.semantic import depth, encode, fit

VECTORS_DE = np.random.default_rng(0).normal(size=(500, 4)).astype(np.float32)
# By hand: the root (0) has the children 1 and 2, of which 2 has 3, 4 and 5.
CENTROIDS_NE = np.array([[0], [-10], [10], [8], [10], [12]], np.float32)
FIRST_CHILD_N1 = np.array([1, 3, 3, 6, 6, 6, 6])


def test_ways_down_a_tree_by_hand() -> None:
    points_DE = np.array([[-3], [7], [10.4], [99], [8.9], [0.5]], np.float32)
    assert encode(CENTROIDS_NE, FIRST_CHILD_N1, points_DE) == [(0,), (1, 0), (1, 1), (1, 2), (1, 0), (1, 0)]
    assert depth(FIRST_CHILD_N1) == 2
    assert depth(np.array([1, 1])) == 0


def test_clusters_of_clusters_are_found() -> None:
    """Two far groups of three near groups of two documents each: the paths are the groups."""
    group = [(i, j) for i in range(2) for j in range(3) for _ in range(2)]
    vectors_DE = np.array([[100 * i, 5 * j] for i, j in group], np.float32)
    vectors_DE[1::2, 0] += 0.1
    paths = encode(**fit(vectors_DE, clusters=2, leaf=6, seed=0), vectors_DE=vectors_DE)
    assert {(path, i) for path, (i, _) in zip(paths, group, strict=True)} == {(paths[0], 0), (paths[-1], 1)}
    finer = encode(**fit(vectors_DE, clusters=2, leaf=2, seed=0), vectors_DE=vectors_DE)
    assert len(set(finer)) == 6
    assert set(Counter(finer).values()) == {2}
    assert all(fine[: len(coarse)] == coarse for fine, coarse in zip(finer, paths, strict=True))


@pytest.mark.parametrize(("clusters", "leaf"), [(3, 2), (3, 10), (10, 40)])
def test_no_list_is_longer_than_asked_and_only_long_ones_are_split(clusters: int, leaf: int) -> None:
    tree = fit(VECTORS_DE, clusters, leaf, seed=0)
    paths = encode(**tree, vectors_DE=VECTORS_DE)
    assert max(Counter(paths).values()) <= leaf
    below = Counter(path[:length] for path in paths for length in range(len(path)))
    assert min(below.values()) > leaf
    assert max(map(len, paths)) == depth(tree["first_child_N1"])
    assert max(code for path in paths for code in path) < clusters
    assert len(tree["centroids_NE"]) == len(tree["first_child_N1"]) - 1


def test_a_centroid_is_the_mean_of_its_documents() -> None:
    tree = fit(VECTORS_DE, clusters=5, leaf=400, seed=0)
    paths = encode(**tree, vectors_DE=VECTORS_DE)
    for child in range(5):
        rows = [row for row, path in enumerate(paths) if path == (child,)]
        assert np.abs(VECTORS_DE[rows].mean(axis=0) - tree["centroids_NE"][1 + child]).max() < 0.05


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.integers(2, 4), st.integers(1, 5))
def test_equal_vectors_stay_together_and_others_part(points: list[int], clusters: int, leaf: int) -> None:
    vectors_DE = np.array(points, np.float32)[:, None]
    paths = encode(**fit(vectors_DE, clusters, leaf, seed=0), vectors_DE=vectors_DE)
    assert len(set(zip(points, paths, strict=True))) == len(set(points))
    for path, count in Counter(paths).items():
        assert count <= leaf or len({point for point, other in zip(points, paths, strict=True) if other == path}) == 1


def test_the_tree_ends_where_the_letters_end() -> None:
    """Each point is so far from the smaller ones that k-means takes off the largest ones only."""
    vectors_DE = (2.0 ** np.arange(40))[:, None].astype(np.float32)
    paths = encode(**fit(vectors_DE, clusters=2, leaf=1, seed=0), vectors_DE=vectors_DE)
    assert max(map(len, paths)) == len(LEVELS)
    assert max(Counter(paths).values()) > 1


def test_same_vectors_and_seed_give_the_same_bytes() -> None:
    one, two, other = (fit(VECTORS_DE, 4, 20, seed) for seed in (1, 1, 2))
    assert all(one[name].tobytes() == two[name].tobytes() for name in one)
    assert one["centroids_NE"].tobytes() != other["centroids_NE"].tobytes()
    assert one["centroids_NE"].dtype == np.float32
