"""Means over queries and seeds, intervals and tests, from tables of one value per query and measure.

Such a table (`per_query`) has query_id, one Float64 column per measure (null: does not apply), and the columns seed and
system where there are several. Queries with similar lists are not independent. `clusters` (query_id, cluster) says
which queries belong together: see `arrange.evaluation.measures.nearest_documents`. `draws` and `seed` are those of the
bootstrap and of the permutation test: the same seed gives the same draws.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from arrange.errors import UserError

Metrics = Mapping[str, Mapping[str, Mapping[str, Any]]]  # system -> measure -> a row of `summary`
KEYS = ("system", "seed", "query_id")
LEAST_SQUARE = 1e-24  # of a draw whose clusters agree: in place of 0, by which nothing can be divided
DIFFERENCES = pl.Schema(
    {"system": pl.String, "measure": pl.String}
    | dict.fromkeys(("difference", "low", "high", "p", "p_holm"), pl.Float64())
    | {"queries": pl.Int64}
)


def summary(per_query: pl.DataFrame, clusters: pl.DataFrame, *, draws: int = 1000, seed: int = 0) -> pl.DataFrame:
    """The mean of each measure of one system with a 95% interval from a bootstrap over clusters of queries.

    Whole clusters are drawn with replacement (Field and Welsh 2007), and the interval is studentised (Hall 1988): a
    draw tells how many of its own standard errors its mean is off. No end lies beyond the farthest drawn mean, so that
    it is finite for few clusters too, and never outside of the measure's range. tests/evaluation/test_coverage.py
    simulates what it covers. Seeds are averaged within a query first, so the interval covers the choice of queries
    given these seeds, and not how training varies.
    `spread` is the standard deviation of the means of the seeds and shows how training varies (null with one seed).
    Nulls don't count. Returns measure, mean, low, high, spread, queries (that have a value).
    """
    names, clusters = _measures(per_query), _clusters_of(per_query, clusters)
    sums_CM, sizes_CM = _sums(over_seeds(per_query), clusters, names)
    low_M, high_M = _interval(_drawn(len(sums_CM), draws, seed), sums_CM, sizes_CM)
    columns = {"mean": _mean(sums_CM, sizes_CM), "low": low_M, "high": high_M, "spread": _spread(per_query, names)}
    return pl.DataFrame({"measure": names, **columns, "queries": sizes_CM.sum(axis=0)}).fill_nan(None)


def by_group(
    per_query: pl.DataFrame, groups: pl.DataFrame, clusters: pl.DataFrame, *, draws: int = 1000, seed: int = 0
) -> pl.DataFrame:
    """The `summary` of each group of queries, of each locale for example. `groups` has query_id and group.

    Returns group (sorted) and the columns of `summary`.
    """
    parts = per_query.join(groups, on="query_id").sort("group").partition_by("group", as_dict=True, include_key=False)
    return pl.concat(
        summary(part, clusters, draws=draws, seed=seed).insert_column(0, pl.lit(name).alias("group"))
        for (name,), part in parts.items()
    )


def over_seeds(per_query: pl.DataFrame) -> pl.DataFrame:
    """The table with the mean over seeds in place of the seeds. A table without seeds is returned as it is."""
    if "seed" not in per_query.columns:
        return per_query
    keys = [key for key in KEYS if key in per_query.columns and key != "seed"]
    return per_query.sort(*keys, "seed").group_by(keys, maintain_order=True).agg(pl.col(_measures(per_query)).mean())


def differences(
    per_query: pl.DataFrame, reference: str, clusters: pl.DataFrame, *, draws: int = 2000, seed: int = 0
) -> pl.DataFrame:
    """Every system against the system `reference`: mean difference, interval, p-value, and it after Holm.

    Values are averaged over seeds and then paired by query. Only queries with both values count. The interval is the
    clustered bootstrap of `summary`. p is that of a permutation test: without a difference, the sum of a cluster's
    differences is as likely positive as negative. So signs of whole clusters are drawn, and p is the share of draws,
    the observed one among them, whose mean is at least as far from 0 (Canay, Romano and Shaikh 2017). `holm` adjusts p
    over the systems, for each measure alone.
    Returns system, measure, difference, low, high, p, p_holm, queries; null where there are no pairs.
    Raises UserError where the table lacks the reference.
    """
    if reference not in per_query["system"]:
        systems = ", ".join(per_query["system"].unique(maintain_order=True))
        raise UserError(f"the reference {reference!r} is no system of the table", f"take one of {systems}")
    names, clusters = _measures(per_query), _clusters_of(per_query, clusters)
    parts = per_query.partition_by("system", as_dict=True, maintain_order=True, include_key=False)
    base = over_seeds(parts.pop((reference,)))
    count = clusters["cluster"].n_unique()
    times_BC, sign_BC = _drawn(count, draws, seed), _signs(count, draws, seed)
    tables = [pl.DataFrame(schema=DIFFERENCES)]
    for (system,), part in parts.items():
        paired = (
            over_seeds(part)
            .join(base, on="query_id", suffix=" base")
            .select("query_id", *(pl.col(name) - pl.col(f"{name} base") for name in names))
        )
        sums_CM, sizes_CM = _sums(paired, clusters, names)
        low_M, high_M = _interval(times_BC, sums_CM, sizes_CM)
        queries_M = sizes_CM.sum(axis=0)
        p_M = np.where(queries_M > 0, _p_values(sign_BC, sums_CM), np.nan)
        columns = {"difference": _mean(sums_CM, sizes_CM), "low": low_M, "high": high_M, "p": p_M, "p_holm": p_M}
        tables.append(pl.DataFrame({"system": system, "measure": names, **columns, "queries": queries_M}))
    adjusted = pl.col("p_holm").map_batches(lambda p: pl.Series(holm(p.to_numpy())), return_dtype=pl.Float64)
    return pl.concat(tables).with_columns(adjusted.over("measure")).fill_nan(None)


def holm(p_values: Sequence[float] | NDArray) -> list[float]:
    """Holm's adjusted p-values (1979) in the given order.

    If every adjusted p of at most 5% is rejected, at most 5% of studies have a wrong rejection, however many tests
    they make. The i-th smallest of m p-values is multiplied by m - i + 1. It is at least the one before it, and at
    most 1. A nan is no test: it stays nan and doesn't count.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    p_P = np.asarray(p_values, dtype=np.float64)
    order_P = np.argsort(p_P)  # nan last
    adjusted_P = np.empty_like(p_P)
    adjusted_P[order_P] = np.maximum.accumulate(p_P[order_P] * (np.isfinite(p_P).sum() - np.arange(len(p_P))))
    return np.minimum(adjusted_P, 1).tolist()


def correlations(
    histories: Mapping[str, pl.DataFrame], metric: str = "nDCG@10", loss: str = "validation_loss"
) -> pl.DataFrame:
    """Spearman's correlation of a loss with a metric over checkpoints, for each system and for all together.

    A checkpoint is a row of a system's history that has both values. A loss that tells good rankers from bad ones has a
    correlation near -1. Returns system ("all" is the last), checkpoints, spearman (null for fewer than three
    checkpoints, and where one of the two values never changes).
    """
    nothing = pl.DataFrame(schema={loss: pl.Float64(), metric: pl.Float64()})
    points = {
        system: history.select(loss, metric).drop_nulls() if {loss, metric} <= {*history.columns} else nothing
        for system, history in histories.items()
    }
    points["all"] = pl.concat([nothing, *points.values()])
    rows = [(system, table.height, _spearman(table)) for system, table in points.items()]
    return pl.DataFrame(rows, {"system": pl.String, "checkpoints": pl.Int64, "spearman": pl.Float64}, orient="row")


def _spearman(points: pl.DataFrame) -> float | None:
    if len(points) < 3 or any(column.n_unique() == 1 for column in points):
        return None
    return float(points.select(pl.corr(*points.columns, method="spearman")).item())


def _measures(per_query: pl.DataFrame) -> list[str]:
    return [name for name in per_query.columns if name not in KEYS]


def _clusters_of(per_query: pl.DataFrame, clusters: pl.DataFrame) -> pl.DataFrame:
    """The clusters of the table's queries alone, in order."""
    lost = per_query.join(clusters, on="query_id", how="anti")
    if not lost.is_empty():
        raise UserError(f"query {lost['query_id'][0]!r} has no cluster", "make the clusters from the same qrels")
    return clusters.join(per_query, on="query_id", how="semi").sort("query_id")


def _sums(table: pl.DataFrame, clusters: pl.DataFrame, names: Sequence[str]) -> tuple[NDArray, NDArray]:
    """For each cluster and measure the sum of the values and their number."""
    rows = clusters.join(table, on="query_id", how="left", maintain_order="left")
    group_Q = rows["cluster"].rank("dense").to_numpy() - 1
    values_QM = rows.select(names).to_numpy()
    # bincount adds in the order of the rows, so that the last digits are always the same
    sums_CM, sizes_CM = (
        np.stack([np.bincount(group_Q, column) for column in matrix.T], axis=1)
        for matrix in (np.nan_to_num(values_QM), np.isfinite(values_QM))
    )
    return sums_CM, sizes_CM.astype(np.int64)


def _mean(sums_CM: NDArray, sizes_CM: NDArray) -> NDArray:
    with np.errstate(invalid="ignore"):  # 0 / 0: no query has the measure
        return sums_CM.sum(axis=0) / sizes_CM.sum(axis=0)


def _interval(times_BC: NDArray, sums_CM: NDArray, sizes_CM: NDArray) -> NDArray:
    """The ends of the studentised 95% interval of every measure's mean; nan where no draw has a mean.

    A cluster's residual is its sum minus its size times the mean. The mean's standard error is the root of the sum of
    squared residuals, over the number of queries (that of a ratio, with clusters as units).
    """
    mean_M, queries_M = _mean(sums_CM, sizes_CM), sizes_CM.sum(axis=0)
    residual_CM = sums_CM - mean_M * sizes_CM
    with np.errstate(invalid="ignore", divide="ignore"):  # 0 / 0: no query of the draw has the measure
        error_M = np.sqrt((residual_CM**2).sum(axis=0)) / queries_M
        queries_BM = times_BC @ sizes_CM
        mean_BM = (times_BC @ sums_CM) / queries_BM
        shift_BM = mean_BM - mean_M
        square_BM = times_BC @ residual_CM**2 - 2 * shift_BM * (times_BC @ (residual_CM * sizes_CM))
        square_BM += shift_BM**2 * (times_BC @ sizes_CM**2)  # of the residuals from the draw's own mean
        error_BM = np.sqrt(np.maximum(square_BM, LEAST_SQUARE)) / queries_BM
        off, means = (pl.from_numpy(each).fill_nan(None) for each in (shift_BM / error_BM, mean_BM))
    ends = [off.select(pl.all().quantile(share, "linear")).row(0) for share in (0.975, 0.025)]
    low_M, high_M = mean_M - np.array(ends, dtype=np.float64) * error_M
    least_M, most_M = np.array([means.min().row(0), means.max().row(0)], dtype=np.float64)
    return np.stack([np.maximum(low_M, least_M), np.minimum(high_M, most_M)])


def _drawn(count: int, draws: int, seed: int) -> NDArray:
    """How often each cluster is in each draw with replacement."""
    picks_BC = np.random.default_rng(seed).integers(count, size=(draws, count))
    picks_BC += np.arange(draws)[:, None] * count  # one bincount for all draws
    return np.bincount(picks_BC.ravel(), minlength=draws * count).reshape(draws, count).astype(np.float64)


def _signs(count: int, draws: int, seed: int) -> NDArray:
    return np.random.default_rng(seed).choice([-1.0, 1.0], size=(draws, count))


def _p_values(sign_BC: NDArray, sums_CM: NDArray) -> NDArray:
    observed_M, drawn_BM = np.abs(sums_CM.sum(axis=0)), np.abs(sign_BC @ sums_CM)
    as_far_M = (drawn_BM >= observed_M - 1e-9).sum(axis=0)  # equal sums may differ in their last digits
    return (1 + as_far_M) / (1 + len(sign_BC))


def _spread(per_query: pl.DataFrame, names: Sequence[str]) -> pl.Series:
    if "seed" not in per_query.columns:
        return pl.Series([None] * len(names), dtype=pl.Float64)
    seeds = per_query.partition_by("seed")
    return pl.Series([pl.Series([part[name].mean() for part in seeds]).std() for name in names], dtype=pl.Float64)
