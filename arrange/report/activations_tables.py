"""Searches and transfer as tables: what each search found, whether it held on fresh problems, and what transferred."""

import ast
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from arrange.activations.programs.check import check
from arrange.activations.search.candidates import SEED
from arrange.formats import interval, markdown, p_value

ARMS = ("evolution", "random")


def searches_table(candidates: Mapping[str, pl.DataFrame], generations: Mapping[str, pl.DataFrame]) -> str:
    """One row per search: candidates, how many have a fitness, why the others have none, steps, re-tests, the members.

    A false positive gained something where it was proposed, but not on the other families of its re-test. The functions
    that a search begins with don't count. `candidates` and `generations` are the tables of `search.export.tables`, by
    search.
    """
    rows = []
    for name, table in candidates.items():
        retested = table.filter(pl.col("mutator") != SEED, pl.col("confirm_reason").is_not_null())
        false_positives = retested.filter(pl.col("confirmed").fill_null(-1) <= 0).height
        last = generations[name].row(-1, named=True)
        rows.append(
            [
                name,
                f"{table.filter(attempt=0).height:,}",
                f"{table['fitness'].count():,}",
                reasons(table),
                f"{last['member_steps'] / 1e6:.2f}",
                f"{false_positives} of {retested.height}",
                f"{last['members']} ({last['gain']:+.3f})",
            ]
        )
    columns = [
        "candidates",
        "measured",
        "not measured",
        "million steps",
        "false positives of re-tests",
        "members (their gain)",
    ]
    return markdown(["search", *columns], rows)


def reasons(candidates: pl.DataFrame) -> str:
    """Why candidates have no fitness, the most frequent reasons first: `screened 41, duplicate 12`."""
    counts = Counter(candidates.filter(pl.col("reason") != "")["reason"].to_list())
    return ", ".join(f"{reason} {count}" for reason, count in counts.most_common()) or "-"


def finalists_table(finalists: pl.DataFrame) -> str:
    """The finalists of all searches: expression, gains in search, re-test and validation, and what members added.

    `finalists` is a table of `search.finalists.CHOSEN`. The place is that in the portfolio of its search, after GELU.
    """
    rows = [
        [
            row["name"],
            row["search"],
            f"`{expression(row['source'])}`",
            f"{row['flops']:.0f}",
            *(number(row[step]) for step in ("fitness", "confirmed", "validated")),
            "-" if row["place"] is None else f"{row['place']} ({row['added']:+.3f})",
        ]
        for row in finalists.rows(named=True)
    ]
    columns = ["FLOPs", "where proposed", "on other families", "validation, alone", "place (added)"]
    return markdown(["function", "search", "", *columns], rows)


def compared_table(compared: pl.DataFrame) -> str:
    """Activations against the reference: mean log-ratio with its interval, p after Holm, both mean errors, the worst.

    `compared` is the table of `transfer.table.compare` for one group. A † marks activations that use batch statistics.
    The number of clusters is in brackets where it is smaller than the number of problems.
    """
    rows = [
        [
            f"{row['activation']}{'' if row['pointwise'] else ' †'}",
            interval(row["log_ratio"], row["low"], row["high"]),
            p_value(row["p_holm"]),
            f"{row['error']:.3g} ({row['reference_error']:.3g})",
            f"{row['worst']:+.2f}",
            str(row["problems"]) + (f" ({row['clusters']})" if row["clusters"] < row["problems"] else ""),
            f"{row['flops']:.0f}",
        ]
        for row in compared.rows(named=True)
    ]
    return markdown(
        ["activation", "log-ratio", "p (Holm)", "mean error (the reference's)", "worst", "problems", "FLOPs"], rows
    )


def rivals_table(compared: pl.DataFrame) -> str:
    """Portfolios as rows, what they are compared with as columns. A dash: the portfolio itself.

    `compared` has the tables of `transfer.table.compare` for one group, with the reference of each in `rival`.
    """
    cells = {}
    for row in compared.rows(named=True):
        ratio = interval(row["log_ratio"], row["low"], row["high"])
        cells[row["activation"], row["rival"]] = f"{ratio}, p {p_value(row['p_holm'])}"
    names, rivals = (compared[column].unique(maintain_order=True).to_list() for column in ("activation", "rival"))
    rows = [[name, *(cells.get((name, rival), "-") for rival in rivals)] for name in names]
    return markdown(["", *(f"against {rival}" for rival in rivals)], rows)


def families_table(families: pl.DataFrame) -> str:
    """Mean log-ratios, activations as rows (best mean of families first) and families as columns.

    `families` is the table of `transfer.table.compare` by family.
    """
    names = families["group"].unique(maintain_order=True).to_list()
    means = families.group_by("activation").agg(mean=pl.col("log_ratio").mean()).sort("mean", "activation")
    values = {(row["activation"], row["group"]): row["log_ratio"] for row in families.rows(named=True)}
    rows = [
        [name, number(mean), *(number(values.get((name, family))) for family in names)] for name, mean in means.rows()
    ]
    return markdown(["activation", "mean of families", *names], rows)


def trained_table(scores: pl.DataFrame) -> str:
    """Systems as rows, seeds as columns: nDCG@10 on validation queries and the rate that won, `0.512 at 0.003`.

    `scores` is a table of `transfer.swapped.with_portfolios`. A portfolio's cells name the activation that was picked.
    """
    runs = scores.unique(["system", "seed"], maintain_order=True)
    cells = {
        (row["system"], row["seed"]): f"{row['validation']:.3f} at {row['rate']:g}"
        + (f", {row['activation']}" if row["activation"] != row["system"] else "")
        for row in runs.rows(named=True)
    }
    systems, seeds = runs["system"].unique(maintain_order=True), runs["seed"].unique().sort()
    rows = [[system, *(cells[system, seed] for seed in seeds)] for system in systems]
    return markdown(["", *(f"seed {seed}" for seed in seeds)], rows)


def expression(source: str) -> str:
    """The expression of a program of one statement, or all lines of a longer program in one."""
    lines = [line.strip() for statement in check(source).body for line in ast.unparse(statement).splitlines()]
    return "; ".join(lines).removeprefix("return ").replace("|", "\\|").replace("`", "")


def number(value: float | None) -> str:
    """A signed number with three digits, or a dash for none."""
    return "-" if value is None else f"{value:+.3f}"


@dataclass(frozen=True)
class Difference:
    """The mean difference of pairs, with Student's 95% interval and two-sided p: pairs are too few for a bootstrap."""

    mean: float
    low: float
    high: float
    p: float


def paired(searches: Mapping[str, tuple[str, int]], finalists: pl.DataFrame) -> pl.DataFrame:
    """What the members of the portfolios added: seed, evolution, random. A row for each seed that both arms have.

    `searches` has the arm and the seed of each search. `finalists` has search and added (null for those that are no
    members). A search that found nothing counts as 0, GELU alone. Several searches of one arm and seed count as their
    mean.
    """
    gains = dict(finalists.group_by("search").agg(pl.col("added").sum()).iter_rows())
    rows = [(arm, seed, gains.get(name, 0.0)) for name, (arm, seed) in searches.items()]
    table = pl.DataFrame(rows, {"arm": pl.String, "seed": pl.Int64, "fitness": pl.Float64}, orient="row")
    means = table.group_by("arm", "seed").agg(pl.col("fitness").mean())
    evolution, random = (means.filter(arm=arm).select("seed", pl.col("fitness").alias(arm)) for arm in ARMS)
    return evolution.join(random, on="seed").sort("seed")


def difference(pairs: pl.DataFrame) -> Difference:
    """Evolution minus random over the seeds of `paired`, which are two or more."""
    from scipy.stats import ttest_1samp  # here: it takes half a second, and few reports have two seeds of both arms

    values_S = (pairs["evolution"] - pairs["random"]).to_numpy()
    mean = float(values_S.mean())
    if not np.ptp(values_S):  # scipy would divide by 0
        return Difference(mean, mean, mean, float(mean == 0))
    test = ttest_1samp(values_S, 0.0)
    ends = test.confidence_interval(0.95)
    return Difference(mean, float(ends.low), float(ends.high), float(test.pvalue))


def arms_table(pairs: pl.DataFrame) -> str:
    """A row for each seed of `paired`, and the mean difference below."""
    rows = [
        [str(seed), f"{one:+.3f}", f"{other:+.3f}", f"{one - other:+.3f}"] for seed, one, other in pairs.iter_rows()
    ]
    mean = difference(pairs)
    means = [f"{pairs[arm].to_numpy().mean():+.3f}" for arm in ARMS]
    last = ["mean", *means, f"{interval(mean.mean, mean.low, mean.high)}, p {p_value(mean.p)}"]
    return markdown(["seed", *ARMS, "difference"], [*rows, last])
