"""The report's first lines: does a ranker help on these data, by how much?"""

from collections.abc import Mapping, Sequence
from typing import Any

from arrange.data.coverage import warnings
from arrange.formats import interval, markdown, p_value
from arrange.report.results import Results
from arrange.report.tables import cell

FIRST = "bm25"  # the first stage that a search engine has anyhow
MEASURE = "nDCG@10"


def answer(results: Results, ways: Mapping[str, Sequence[str]], without_ranker: Sequence[str] = ()) -> str:
    """Which of the `ways` of using a ranker is better than BM25, and by how much; the best system of each way.

    ways: a name ("ranker alone") -> the systems of the tables that are so made. without_ranker: systems that need none,
    which show how much of the gain is theirs.
    """
    if FIRST not in results.metrics:
        return ""
    by_system = {row["system"]: row for row in results.against_bm25.filter(measure=MEASURE).rows(named=True)}
    bests = {way: found for way, systems in ways.items() if (found := best_of(systems, by_system))}
    if not bests:
        return ""
    told = verdict(max(bests.values(), key=lambda row: row["difference"]), results.data)
    if alone := best_of(without_ranker, by_system):
        bests["no ranker"] = alone
        told += f" Without a ranker {alone['system']} has {results.metrics[alone['system']][MEASURE]['mean']:.3f}."
    rows = [
        [
            *(way, f"`{row['system']}`", cell(results.metrics[row["system"]][MEASURE])),
            f"{interval(row['difference'], row['low'], row['high'])}, p {p_value(row['p_holm'])}",
        ]
        for way, row in bests.items()
    ]
    heads, bm25 = ["", "system", MEASURE, "against BM25"], cell(results.metrics[FIRST][MEASURE])
    table = markdown(heads, [*rows, ["BM25", f"`{FIRST}`", bm25, "-"]], left=(1,))
    return ANSWER.format(data=results.data, verdict=told, table=table)


def best_of(systems: Sequence[str], by_system: Mapping[str, dict[str, Any]]) -> dict[str, Any] | None:
    """The row of the system that is best against BM25; None where none of them was compared."""
    rows = [by_system[system] for system in systems if by_system.get(system, {}).get("difference") is not None]
    return max(rows, key=lambda row: row["difference"], default=None)


ANSWER = """## Does a ranker help on `{data}`?

**{verdict}**

{table}

The best system of each kind by the queries shown; difference with its 95% interval, and p of a permutation test after
Holm over all systems. The terminal and the page in MLflow say how many seconds each stage took."""


def verdict(best: Mapping[str, float | str], data: str) -> str:
    """One plain sentence on the best system, a row of the differences from BM25.

    >>> verdict({"system": "item", "difference": -0.2, "low": -0.3, "high": -0.1}, "mine")
    'No: BM25 is better on mine, by 0.200 (0.100 to 0.300) nDCG@10 than the best of them, item.'
    >>> verdict({"system": "fused", "difference": 0.02, "low": 0.01, "high": 0.03}, "mine")
    'Yes: fused is better on mine than BM25, by 0.020 (0.010 to 0.030) nDCG@10.'
    """
    name = best["system"]
    difference, low, high = (float(best[key]) for key in ("difference", "low", "high"))
    if low > 0:
        return f"Yes: {name} is better on {data} than BM25, by {difference:.3f} ({low:.3f} to {high:.3f}) {MEASURE}."
    if high < 0:
        by = f"{-difference:.3f} ({-high:.3f} to {-low:.3f}) {MEASURE}"
        return f"No: BM25 is better on {data}, by {by} than the best of them, {name}."
    which = f"the best of them, {name}, differs by {interval(difference, low, high)} {MEASURE}"
    return f"Not shown: on {data} {which}, and the interval has 0 in it."


def data_lines(results: Results) -> str:
    """The queries of each split, what training shows of the tested documents, what is too few, what was left out."""
    found = results.coverage
    counts = ", ".join(f"{count:,} {split}" for split, count in found.queries.items())
    lines = [
        f"Queries: {counts}; {found.documents:,} documents, of which training queries name {found.named:.0%}. "
        f"{found.unseen:.0%} of the true documents of {found.split} queries are true for no training query."
    ]
    lines += [f"- **Few data:** {warning}." for warning in warnings(found)]
    for why, rows in results.about.left_out.items():
        if rows["rows"]:
            more = ", .." * (rows["rows"] > len(rows["first"]))
            names = ", ".join(f"`{key.replace('`', '')}`" for key in rows["first"])
            lines.append(f"- Left out: {why}: {rows['rows']:,} ({names}{more}).")
    return "\n".join([lines[0], "", *lines[1:]]).rstrip()
