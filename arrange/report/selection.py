"""Which selector picks the better ranker, as Markdown: arrange/evaluation/selection.py has the numbers."""

import polars as pl

from arrange.evaluation.selection import iso_nll_pairs, selectors
from arrange.formats import markdown

SHOWN = 5  # pairs of equal likelihood
APART = 0.05  # of nDCG@10: more than the luck of a seed on most data


def selection(candidates: pl.DataFrame, checkpoints: pl.DataFrame) -> str:
    """The study of these candidates and checkpoints: `arrange.evaluation.selection` describes both tables."""
    pairs = iso_nll_pairs(checkpoints)
    apart = pairs.filter(pl.col("apart") >= APART).height
    return SELECTION.format(
        selectors=selectors_table(selectors(candidates)),
        pairs=pairs.height,
        apart=apart,
        least=APART,
        shown=pairs_table(pairs.head(SHOWN)) if pairs.height else "No table: there is no such pair.",
    )


SELECTION = """## Which ranker would validation have picked?

Selectors see the validation queries at the checkpoint that training kept: `nll`, the common loss (item, alpha 1) that
is the same for all losses; nDCG@10; or both, by the sum of the two ranks. The score is nDCG@10 of the queries that the
tables show. Of all pairs of rankers, seeds of one loss or of two losses: how often the selector prefers the better one,
and how much nDCG@10 its choices lose on average. The last two columns are what it picks of all, and the score of that.

{selectors}

Checkpoints of two losses whose `nll` is within 1%: {pairs} pairs. {apart} of them differ by {least} or more in
nDCG@10 of the validation queries. The farthest apart:

{shown}"""


def selectors_table(found: pl.DataFrame) -> str:
    """The table of `selectors`."""
    rows = [
        [selector, among, str(pairs), number(right), number(lost), picked or "-", number(score)]
        for selector, among, pairs, right, lost, picked, score in found.rows()
    ]
    return markdown(["selector", "pairs of", "pairs", "right", "lost", "picks", "score"], rows, left=(0, 1, 5))


def pairs_table(pairs: pl.DataFrame) -> str:
    """The table of `iso_nll_pairs`."""
    rows = [
        [
            *(f"{row[f'system{side}']}-{row[f'seed{side}']}, step {row[f'step{side}']}" for side in ("", "_right")),
            *(f"{row['nll']:.2f} and {row['nll_right']:.2f}", f"{row['quality']:.3f} and {row['quality_right']:.3f}"),
        ]
        for row in pairs.rows(named=True)
    ]
    return markdown(["one", "other", "nll", "nDCG@10"], rows, left=(0, 1))


def number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
