"""Which selector picks the better ranker, as Markdown and dots: arrange/evaluation/selection.py has the numbers."""

from pathlib import Path

import polars as pl

from arrange.evaluation.selection import PREFERS, iso_nll_pairs, selectors
from arrange.evaluation.statistics import correlations
from arrange.formats import markdown
from arrange.report.figures import Panel, plot_points

SHOWN = 5  # pairs of equal likelihood
APART = 0.05  # of nDCG@10: more than the luck of a seed on most data
PICTURE = "selection.png"
LABELS = {"nll": "common loss, validation, nats", "quality": "nDCG@10, validation", "score": "score (nDCG@10)"}
CORRELATED = {
    "nll, nDCG@10": ("nll", "quality"),
    "nll, score": ("nll", "score"),
    "nDCG@10, score": ("quality", "score"),
}
SELECTORS = ("selector", "pairs of", "pairs", "right", "lost", "picks", "score")


def selection(candidates: pl.DataFrame, checkpoints: pl.DataFrame, folder: Path) -> str:
    """The study of these candidates and checkpoints, its picture in the folder.

    `arrange.evaluation.selection` describes both tables.
    """
    plot_points([panels(candidates, checkpoints)], folder / PICTURE)
    pairs = iso_nll_pairs(checkpoints)
    return SELECTION.format(
        selectors=markdown(SELECTORS, selectors_rows(candidates), left=(0, 1, 5)),
        picture=PICTURE,
        correlations=markdown(["", "n", *CORRELATED], correlations_rows(candidates, checkpoints), left=(0,)),
        shown=pairs_table(pairs.head(SHOWN)) if pairs.height else "No table: there is no such pair.",
        **counts(candidates, checkpoints, pairs),
    )


def counts(candidates: pl.DataFrame, checkpoints: pl.DataFrame, pairs: pl.DataFrame) -> dict[str, str | float]:
    """What sentences on a study say, by name. pairs: of `iso_nll_pairs`."""
    trainings, elsewhere, given_up = best_checkpoints(checkpoints)
    return {
        "left_out": left_out(candidates),
        "trainings": trainings,
        "elsewhere": elsewhere,
        "given_up": number(given_up),
        "pairs": pairs.height,
        "apart": pairs.filter(pl.col("apart") >= APART).height,
        "least": APART,
    }


SELECTION = """## Which ranker would validation have picked?

Selectors see the validation queries at the checkpoint that training kept: `nll`, the common loss (item, alpha 1) that
is the same for all losses; nDCG@10; or both, by the sum of the two ranks. The score is nDCG@10 of the queries that the
tables show. Of all pairs of rankers, seeds of one loss or of two losses: how often the selector prefers the better one,
and how much nDCG@10 its choices lose on average. The last two columns are what it picks of all, and the score of that.

{selectors}

![common loss, nDCG@10 and score]({picture})

Contenders are losses that reach half of the best nDCG@10 of the validation queries: any selector tells the others from
them. Not drawn, because they are none: {left_out}. On the left a dot is a checkpoint; one with a black rim was kept.

Spearman's correlations of `nll`, nDCG@10 and score: checkpoints of one training are not independent of each other. A
dash: there are fewer than three with both values, or one of the two never changes.

{correlations}

In {elsewhere} of {trainings} trainings the lowest `nll` is at another checkpoint than the highest nDCG@10 of the
validation queries. To keep the former would give up {given_up} of it on average.

Checkpoints of two losses whose `nll` is within 1%: {pairs} pairs. {apart} of them differ by {least} or more in
nDCG@10 of the validation queries. The farthest apart:

{shown}"""


def panels(candidates: pl.DataFrame, checkpoints: pl.DataFrame, title: str = "") -> list[Panel]:
    """Dots of nll and quality of all checkpoints, of nll and score of the kept ones, of quality and score of these.

    All of contenders alone: a loss that is far off would push the others together.
    """
    drawn = contenders(candidates)
    of_all, *of_kept = (
        Panel(title, (LABELS[x], LABELS[y]), drawn.select("system", x, y)) for x, y in CORRELATED.values()
    )
    dots = checkpoints.join(drawn, on="system", how="semi", maintain_order="left").select(of_all.dots.columns)
    return [Panel(title, of_all.labels, dots, of_all.dots), *of_kept]


def contenders(candidates: pl.DataFrame) -> pl.DataFrame:
    """The candidates of losses that reach half of the best quality: any selector tells the others from them."""
    return candidates.filter(pl.col("quality").max().over("system") >= pl.col("quality").max() / 2)


def left_out(candidates: pl.DataFrame) -> str:
    """The losses that are no contenders, as a text."""
    others = candidates.join(contenders(candidates), on="system", how="anti", maintain_order="left")
    return ", ".join(f"`{name}`" for name in others["system"].unique(maintain_order=True)) or "none"


def correlations_rows(candidates: pl.DataFrame, checkpoints: pl.DataFrame) -> list[list[str]]:
    """Name, number and Spearman's correlations of CORRELATED: for checkpoints of each loss, of all, and kept ones."""
    within = checkpoints.partition_by("system", as_dict=True, maintain_order=True)
    by_loss = correlations({str(name): part for (name,), part in within.items()}, "quality", "nll")
    rows = [[f"checkpoints of {name}", str(count), signed(value), "-", "-"] for name, count, value in by_loss.rows()]
    for name, part in (("kept checkpoints", candidates), ("kept ones of contenders", contenders(candidates))):
        kept = [correlations({name: part}, y, x).row(0) for x, y in CORRELATED.values()]
        rows.append([name, str(kept[0][1]), *(signed(value) for _, _, value in kept)])
    return rows


def best_checkpoints(checkpoints: pl.DataFrame) -> tuple[int, int, float | None]:
    """How many trainings there are, in how many the lowest nll has less than the best quality, and how much on average.

    The average is over all trainings; None where there is none.
    """
    best = pl.col("quality").max()
    given_up = (
        checkpoints.drop_nulls()
        .group_by("system", "seed", maintain_order=True)
        .agg(lost=best - pl.col("quality").sort_by("nll").first())["lost"]
    )
    return len(given_up), int((given_up > 0).sum()), None if given_up.is_empty() else float(given_up.to_numpy().mean())


def selectors_rows(candidates: pl.DataFrame) -> list[list[str]]:
    """The rows of `selectors` as text, in the columns SELECTORS; pairs of two losses for contenders alone too."""
    of_contenders = selectors(contenders(candidates)).filter(among="two losses")
    in_order = pl.col("selector").cast(pl.Enum(list(PREFERS)))
    found = pl.concat([selectors(candidates), of_contenders.with_columns(among=pl.lit("two contenders"))])
    return [
        [selector, among, str(pairs), number(right), number(lost), picked or "-", number(score)]
        for selector, among, pairs, right, lost, picked, score in found.sort(in_order, maintain_order=True).rows()
    ]


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


def signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.2f}"
