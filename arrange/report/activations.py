"""Searches and transfer as Markdown: what each arm found, whether it held on fresh problems, and what transferred."""

import ast
from collections import Counter
from collections.abc import Mapping

import polars as pl

from arrange.activations.programs.check import check
from arrange.activations.search.database import SEED
from arrange.activations.search.identity import distinct, identities
from arrange.formats import interval, markdown, p_value


def searches_table(candidates: Mapping[str, pl.DataFrame], generations: Mapping[str, pl.DataFrame]) -> str:
    """One row per search: places filled, attempts with a fitness, why the others have none, steps, flukes, the best.

    A fluke beat the reference in the search and not on the fresh problems and seeds of its re-test; of functions that
    the search found itself, each once. `candidates` and `generations` are the tables of `search.export.tables`, by
    search.
    """
    rows = []
    for name, table in candidates.items():
        seeds, own = table.filter(mutator=SEED), table.filter(pl.col("mutator") != SEED)
        better = own.filter(pl.col("fitness") > 0, pl.col("confirm_reason").is_not_null())
        retested = distinct(better, identities(seeds))
        flukes = retested.filter(pl.col("confirmed").fill_null(-1) <= 0).height
        best = generations[name]["confirmed"].drop_nulls()
        rows.append(
            [
                name,
                f"{table.filter(attempt=0).height:,}",
                f"{table['fitness'].count():,}",
                reasons(table),
                f"{int(table['member_steps'].sum()) / 1e6:.2f}",
                f"{flukes} of {retested.height}",
                f"{best[-1]:+.3f}" if len(best) else "-",
            ]
        )
    columns = ["candidates", "measured", "not measured", "million steps", "flukes of re-tested", "best confirmed"]
    return markdown(["search", *columns], rows)


def reasons(candidates: pl.DataFrame) -> str:
    """Why candidates have no fitness, the most frequent reasons first: `screened 41, duplicate 12`."""
    counts = Counter(candidates.filter(pl.col("reason") != "")["reason"].to_list())
    return ", ".join(f"{reason} {count}" for reason, count in counts.most_common()) or "-"


def finalists_table(finalists: pl.DataFrame) -> str:
    """The finalists of all searches on fresh problems, best first: expression, fitness at each step of the way.

    `finalists` has name, source, flops, fitness, confirmed, validated and winner (of its search).
    """
    rows = [
        [
            f"{row['name']}{' (winner)' if row['winner'] else ''}",
            f"`{expression(row['source'])}`",
            f"{row['flops']:.0f}",
            *(number(row[step]) for step in ("fitness", "confirmed", "validated")),
        ]
        for row in finalists.rows(named=True)
    ]
    return markdown(["function", "", "FLOPs", "search", "re-test", "validation"], rows)


def compared_table(compared: pl.DataFrame) -> str:
    """Activations against the reference: mean log-ratio with its interval, p after Holm, the worst problem.

    `compared` is the table of `transfer.table.compare` for one group. A † marks those that use batch statistics; in
    brackets is the number of clusters, where these are fewer than the problems.
    """
    rows = [
        [
            f"{row['activation']}{'' if row['pointwise'] else ' †'}",
            interval(row["log_ratio"], row["low"], row["high"]),
            p_value(row["p_holm"]),
            f"{row['worst']:+.2f}",
            str(row["problems"]) + (f" ({row['clusters']})" if row["clusters"] < row["problems"] else ""),
            f"{row['flops']:.0f}",
        ]
        for row in compared.rows(named=True)
    ]
    return markdown(["activation", "log-ratio", "p (Holm)", "worst", "problems", "FLOPs"], rows)


def winners_table(compared: pl.DataFrame) -> str:
    """The winners of the searches as rows, what they are compared with as columns; a dash for the winner itself.

    `compared` is tables of `transfer.table.compare` for one group, one below the other, their reference in `rival`.
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


def expression(source: str) -> str:
    """A program of one statement as its expression; of a longer one, all of its lines in one."""
    lines = [line.strip() for statement in check(source).body for line in ast.unparse(statement).splitlines()]
    return "; ".join(lines).removeprefix("return ").replace("|", "\\|").replace("`", "")


def number(value: float | None) -> str:
    """A signed number with three digits, a dash for none."""
    return "-" if value is None else f"{value:+.3f}"
