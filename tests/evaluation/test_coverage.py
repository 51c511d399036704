"""What the intervals of `statistics.summary` cover: the simulated mean in 95% of studies, as they promise."""

import numpy as np
import polars as pl
import pytest

from arrange.evaluation.statistics import summary

# The clusters of the 357 test queries of `animal`, split by parent: 29 of one query, 19 of two ..
SIZES = np.repeat([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 25], [29, 19, 11, 10, 7, 9, 3, 4, 2, 2, 1, 1])
STUDIES = 2000


def differences(size_SC, rng):
    """Of two systems: an effect of the cluster and one of the query, each the sum over the cluster's queries."""
    return size_SC * rng.normal(0, 0.8, size_SC.shape) + np.sqrt(size_SC) * rng.normal(0, 0.6, size_SC.shape)


def scores(first, second):
    """Like nDCG: a cluster's level is drawn from a beta distribution, its queries' thirds from that level."""
    return lambda size_SC, rng: rng.binomial(3 * size_SC, rng.beta(first(size_SC), second, size_SC.shape)) / 3


KINDS = {
    "differences": differences,
    "scores": scores(lambda size: 1.5, 1.5),
    "scores near 0": scores(lambda size: 0.4, 4.0),  # skewed, as those of a weak ranker
    "higher scores in larger clusters": scores(lambda size: 1.2 + 0.5 * np.log(size), 1.5),
}


def coverage(kind, clusters, seed=0):
    """The share of studies whose interval has the mean over all queries in it.

    A study is a column of one table, whose rows are as many queries of each cluster as the largest one has.
    """
    rng = np.random.default_rng(seed)
    size_SC = rng.choice(SIZES, size=(400_000 // clusters, clusters))
    truth = KINDS[kind](size_SC, rng).sum() / size_SC.sum()
    size_SC = rng.choice(SIZES, size=(STUDIES, clusters))
    values_CS = (KINDS[kind](size_SC, rng) / size_SC).T
    values_QS = np.repeat(values_CS, SIZES.max(), axis=0)
    values_QS[np.tile(np.arange(SIZES.max()), clusters)[:, None] >= np.repeat(size_SC.T, SIZES.max(), axis=0)] = np.nan
    ids = [f"q{query:04}" for query in range(len(values_QS))]
    table = pl.DataFrame(values_QS).fill_nan(None).insert_column(0, pl.Series("query_id", ids))
    groups = pl.DataFrame({"query_id": ids, "cluster": np.repeat(np.arange(clusters), SIZES.max()).tolist()})
    found = summary(table, groups, draws=1000, seed=seed)
    assert found["queries"].to_list() == size_SC.sum(axis=1).tolist()
    low_S, high_S = found.select("low", "high").to_numpy().T
    return ((low_S <= truth) & (truth <= high_S)).mean()


@pytest.mark.slow
@pytest.mark.parametrize("clusters", [98, 30])
def test_intervals_cover_what_they_promise(clusters):
    """All test queries of `animal`, and a group of them. The percentile interval covers 0.931 and 0.920."""
    shares = [coverage(kind, clusters) for kind in KINDS]
    assert min(shares) > 0.925
    assert 0.94 < np.mean(shares) < 0.96
