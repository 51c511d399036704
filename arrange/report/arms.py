"""The two arms of the search against each other, seed by seed."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.stats import ttest_1samp

from arrange.formats import interval, markdown, p_value

ARMS = ("evolution", "random")


@dataclass(frozen=True)
class Difference:
    """The mean difference of pairs, with Student's 95% interval and two-sided p: there are too few for a bootstrap."""

    mean: float
    low: float
    high: float
    p: float


def paired(searches: Mapping[str, tuple[str, int]], finalists: pl.DataFrame) -> pl.DataFrame:
    """The validated fitness of each search's winner: seed, evolution, random; a row for each seed that both arms have.

    `searches` has each one's arm and seed; `finalists` search, validated and winner. A search that found nothing counts
    as 0, GELU's fitness; several of one arm and seed as their mean.
    """
    winners = dict(finalists.filter("winner").select("search", "validated").iter_rows())
    rows = [(arm, seed, winners.get(name, 0.0)) for name, (arm, seed) in searches.items()]
    table = pl.DataFrame(rows, {"arm": pl.String, "seed": pl.Int64, "fitness": pl.Float64}, orient="row")
    means = table.group_by("arm", "seed").agg(pl.col("fitness").mean())
    evolution, random = (means.filter(arm=arm).select("seed", pl.col("fitness").alias(arm)) for arm in ARMS)
    return evolution.join(random, on="seed").sort("seed")


def difference(pairs: pl.DataFrame) -> Difference:
    """Evolution less random, over the seeds of `paired`: two at least."""
    values_S = (pairs["evolution"] - pairs["random"]).to_numpy()
    mean = float(values_S.mean())
    if not np.ptp(values_S):  # scipy would divide by 0
        return Difference(mean, mean, mean, float(mean == 0))
    found = ttest_1samp(values_S, 0.0)
    ends = found.confidence_interval(0.95)
    return Difference(mean, float(ends.low), float(ends.high), float(found.pvalue))


def arms_table(pairs: pl.DataFrame) -> str:
    """A row for each seed, and the mean difference below."""
    rows = [
        [str(seed), f"{one:+.3f}", f"{other:+.3f}", f"{one - other:+.3f}"] for seed, one, other in pairs.iter_rows()
    ]
    found = difference(pairs)
    means = [f"{pairs[arm].to_numpy().mean():+.3f}" for arm in ARMS]
    told = f"{interval(found.mean, found.low, found.high)}, p {p_value(found.p)}"
    return markdown(["seed", *ARMS, "difference"], [*rows, ["mean", *means, told]])
