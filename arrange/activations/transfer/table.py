"""Measurements of all activations in one table, and the comparison of each one with a reference, with tests."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Literal

import polars as pl
from scipy.stats import wilcoxon

from arrange.activations.evaluation import Admitted, Measurement
from arrange.activations.fitness.scoring import CLIP
from arrange.errors import UserError
from arrange.evaluation.statistics import holm, summary

FLOOR = 1e-3  # of the targets' variance: errors below it count as equal
COLUMNS = pl.Schema(
    dict.fromkeys(("activation", "group", "family", "cluster", "problem"), pl.String())
    | {"seed": pl.Int64()}
    | dict.fromkeys(("rate", "train", "valid", "ood"), pl.Float64())
)
COMPARED = pl.Schema(
    {"group": pl.String(), "activation": pl.String(), "problems": pl.Int64(), "clusters": pl.Int64()}
    | dict.fromkeys(("log_ratio", "low", "high", "worst", "p", "p_holm", "flops"), pl.Float64())
    | {"pointwise": pl.Boolean(), "error": pl.Float64(), "reference_error": pl.Float64()}
)


def long(
    measured: Mapping[str, Mapping[str, Sequence[Measurement]]], clusters: Mapping[str, str] | None = None
) -> pl.DataFrame:
    """One row per activation, problem and seed: COLUMNS.

    `measured` has the measurements by group (such as "digits") and activation. `clusters` names, for some problems,
    what they share with others (a data set, an equation), so that they are not independent. Each other problem is a
    cluster of its own.
    """
    shared = clusters or {}
    rows = [
        asdict(one) | {"group": group, "activation": activation, "cluster": shared.get(one.problem, one.problem)}
        for group, of_group in measured.items()
        for activation, measurements in of_group.items()
        for one in measurements
    ]
    return pl.DataFrame(rows, schema=COLUMNS)


def log_ratios(table: pl.DataFrame, reference: str) -> pl.DataFrame:
    """log(error / error of the reference) of each activation and problem; below 0 is better than the reference.

    Errors are out of distribution. As in `fitness.scoring.log_ratios`, log-ratios of one seed are clipped at +-CLIP,
    then averaged over seeds; training that diverged (an error of inf) counts as +CLIP, whatever the reference did.
    Returns activation, group, family, cluster, problem, log_ratio.
    Raises UserError where the table lacks the reference.
    """
    if reference not in table["activation"]:
        raise UserError(f"the reference {reference!r} is no activation of the table", "measure it with the others")
    keys = ["group", "family", "cluster", "problem", "seed"]
    logs = table.select("activation", *keys, log=pl.col("ood").clip(lower_bound=FLOOR).log())
    ratio = (pl.col("log") - pl.col("log_right")).fill_nan(CLIP).clip(-CLIP, CLIP)
    return (
        logs.filter(pl.col("activation") != reference)
        .join(logs.filter(activation=reference).drop("activation"), on=keys, maintain_order="left")
        .group_by("activation", *keys[:-1], maintain_order=True)
        .agg(log_ratio=ratio.mean())
    )


def compare(
    table: pl.DataFrame,
    admitted: Mapping[str, Admitted],
    reference: str = "gelu",
    by: Literal["group", "family"] = "group",
    *,
    draws: int = 2000,
    seed: int = 0,
) -> pl.DataFrame:
    """Each activation against the reference within each group (or family) of problems: COMPARED, the best first.

    `log_ratios` are averaged over the problems of a cluster. log_ratio is the mean over clusters, low and high its 95%
    bootstrap interval over clusters. p is the Wilcoxon signed-rank test's (1945) over clusters, two-sided: with four of
    them it cannot be below 1/8. p_holm adjusts it over the activations of the group. worst is the largest of all
    problems. The digits' shifts are clusters of their own although they share their trained networks: their interval
    holds for shifts like these, not for other data. An activation that is not `pointwise` uses batch statistics: it
    sees all shifted points at once, which no other does. flops are per element. error and reference_error are the
    arithmetic means over problems and seeds, as in arXiv 2602.05688: the hardest problems weigh the most; inf where
    training diverged.
    """
    tables = [pl.DataFrame(schema=COMPARED)]
    errors = {
        (group, name): mean
        for group, name, mean in table.group_by(by, "activation").agg(pl.col("ood").mean()).iter_rows()
    }
    for (group,), of_group in log_ratios(table, reference).group_by(by, maintain_order=True):
        rows = []
        for (name,), ratios in of_group.group_by("activation", maintain_order=True):
            properties = {"flops": admitted[name].flops, "pointwise": admitted[name].pointwise}
            properties |= {"error": errors[group, name], "reference_error": errors[group, reference]}
            rows.append({"group": group, "activation": name} | properties | _against(ratios, draws, seed))
        adjusted = pl.Series(holm([row["p"] for row in rows]), dtype=pl.Float64)
        compared = pl.DataFrame(rows).with_columns(p_holm=adjusted)
        tables.append(compared.select(pl.col(name).cast(kind) for name, kind in COMPARED.items()).sort("log_ratio"))
    return pl.concat(tables)


def _against(ratios: pl.DataFrame, draws: int, seed: int) -> dict[str, float]:
    """The statistics of one activation's log-ratios. The bootstrap draws clusters, each with its mean."""
    name = pl.format("{} {}", "family", "cluster")
    means = ratios.group_by(query_id=name, maintain_order=True).agg(pl.col("log_ratio").mean())
    row = summary(means, means.select("query_id", cluster="query_id"), draws=draws, seed=seed).row(0, named=True)
    values_C = means["log_ratio"].to_numpy()
    return {
        "problems": len(ratios),
        "clusters": len(values_C),
        "log_ratio": row["mean"],
        "low": row["low"],
        "high": row["high"],
        "worst": ratios["log_ratio"].max(),
        "p": float(wilcoxon(values_C).pvalue) if values_C.any() else 1.0,
    }
