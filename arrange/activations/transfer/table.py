"""All activations on all problems, and each of them against one: how much lower its errors are, and whether by luck."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Literal

import polars as pl
from scipy.stats import wilcoxon

from arrange.activations.evaluation import Admitted, Measurement
from arrange.activations.fitness.protocol import CLIP
from arrange.errors import UserError
from arrange.ranking.statistics import holm, summary

FLOOR = 1e-3  # of the targets' variance: errors below it are equally small
COLUMNS = pl.Schema(
    dict.fromkeys(("activation", "group", "family", "problem"), pl.String())
    | {"seed": pl.Int64()}
    | dict.fromkeys(("rate", "train", "valid", "ood"), pl.Float64())
)
COMPARED = pl.Schema(
    {"group": pl.String(), "activation": pl.String(), "problems": pl.Int64()}
    | dict.fromkeys(("log_ratio", "low", "high", "worst", "p", "p_holm", "flops"), pl.Float64())
    | {"pointwise": pl.Boolean()}
)


def long(measured: Mapping[str, Mapping[str, Sequence[Measurement]]]) -> pl.DataFrame:
    """One row per activation, problem and seed: COLUMNS.

    `measured` has the measurements by group ("digits", say, or "held-out") and activation.
    """
    rows = [
        asdict(measurement) | {"group": group, "activation": activation}
        for group, of_group in measured.items()
        for activation, measurements in of_group.items()
        for measurement in measurements
    ]
    return pl.DataFrame(rows, schema=COLUMNS)


def log_ratios(table: pl.DataFrame, reference: str) -> pl.DataFrame:
    """log(error / error of the reference) of each activation and problem; below 0 is better than the reference.

    Errors are out of distribution. As in `fitness.protocol.log_ratios` pairs have one seed, are clipped at +-CLIP, then
    averaged over seeds, and training that diverged (an error of inf) counts as +CLIP, whatever the reference did.
    Returns activation, group, family, problem, log_ratio.
    Raises UserError where the table lacks the reference.
    """
    if reference not in table["activation"]:
        raise UserError(f"the reference {reference!r} is no activation of the table", "measure it with the others")
    keys = ["group", "family", "problem", "seed"]
    logs = table.select("activation", *keys, log=pl.col("ood").clip(lower_bound=FLOOR).log())
    ratio = (pl.col("log") - pl.col("log_right")).fill_nan(CLIP).clip(-CLIP, CLIP)
    return (
        logs.filter(pl.col("activation") != reference)
        .join(logs.filter(activation=reference).drop("activation"), on=keys, maintain_order="left")
        .group_by("activation", *keys[:3], maintain_order=True)
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

    log_ratio is the mean of `log_ratios` over problems, low and high its 95% bootstrap interval over problems, worst
    the largest of them. p is the Wilcoxon signed-rank test's (1945) over problems, two-sided; p_holm adjusts it over
    the activations of the group. Problems of one data set (the digits' shifts) share their trained networks: their
    interval tells of shifts like these, not of other data. An activation that isn't `pointwise` uses batch statistics:
    it sees all shifted points at once, which no other does. flops are per element.
    """
    tables = [pl.DataFrame(schema=COMPARED)]
    for (group,), of_group in log_ratios(table, reference).group_by(by, maintain_order=True):
        rows = []
        for (name,), ratios in of_group.group_by("activation", maintain_order=True):
            facts = {"flops": admitted[name].flops, "pointwise": admitted[name].pointwise}
            rows.append({"group": group, "activation": name} | facts | _against(ratios, draws, seed))
        adjusted = pl.Series(holm([row["p"] for row in rows]), dtype=pl.Float64)
        found = pl.DataFrame(rows).with_columns(p_holm=adjusted)
        tables.append(found.select(pl.col(name).cast(kind) for name, kind in COMPARED.items()).sort("log_ratio"))
    return pl.concat(tables)


def _against(ratios: pl.DataFrame, draws: int, seed: int) -> dict[str, float]:
    """The statistics of one activation's log-ratios: each problem is what is drawn."""
    problems = pl.format("{} {}", "family", "problem")
    row = summary(
        ratios.select("log_ratio", query_id=problems),
        ratios.select(query_id=problems, cluster=problems),
        draws=draws,
        seed=seed,
    ).row(0, named=True)
    values_P = ratios["log_ratio"].to_numpy()
    return {
        "problems": len(values_P),
        "log_ratio": row["mean"],
        "low": row["low"],
        "high": row["high"],
        "worst": values_P.max(),
        "p": float(wilcoxon(values_P).pvalue) if values_P.any() else 1.0,
    }
