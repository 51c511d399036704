"""Model selection: whether the likelihood or the ranking of the validation queries picks the better ranker.

A candidate is a trained ranker: system (its loss), seed, `nll` (the common loss of the validation lists, the same for
all systems), `quality` (their nDCG@10), both at the checkpoint that training kept, and `score` (that of the test
queries, which no selector sees). A checkpoint is a row of a history: system, seed, step, nll, quality.
"""

import numpy as np
import polars as pl

PREFERS = {  # what each selector takes the largest of
    "nll": -pl.col("nll"),
    "nDCG@10": pl.col("quality"),
    "both": pl.col("quality").rank() - pl.col("nll").rank(),
}
SELECTED = pl.Schema(
    {"selector": pl.String, "among": pl.String, "pairs": pl.Int64}
    | dict.fromkeys(("right", "lost"), pl.Float64())
    | {"picked": pl.String, "score": pl.Float64()}
)


def selectors(candidates: pl.DataFrame) -> pl.DataFrame:
    """How each of PREFERS chooses within pairs of candidates: SELECTED, for pairs of one loss and of two losses.

    right: the share of pairs in which it prefers the candidate with the better score (a tie of its own counts 1/2;
    pairs of equal scores don't count). lost: how far the mean score of the preferred ones is below that of the better
    ones. picked, score: the candidate that it prefers to all, and its score. Candidates with a null are left out.
    """
    ranked = candidates.drop_nulls().sort("system", "seed")
    ranked = ranked.select("system", "seed", "score", **PREFERS).with_row_index("row")
    pairs = ranked.join_where(ranked, pl.col("row") < pl.col("row_right"), suffix="_right").sort("row", "row_right")
    rows = []
    for name in PREFERS:
        best = ranked.sort(name, descending=True, maintain_order=True).head(1)
        pick = {"picked": f"{best['system'][0]}-{best['seed'][0]}", "score": best["score"][0]} if len(best) else {}
        for among, is_within in (("one loss", True), ("two losses", False)):
            part = pairs.filter((pl.col("system") == pl.col("system_right")) == is_within)
            rows.append({"selector": name, "among": among} | chosen(part, name) | pick)
    return pl.DataFrame(rows, SELECTED)


def chosen(pairs: pl.DataFrame, selector: str) -> dict[str, float | None]:
    """Of pairs whose scores differ: how many, `right` and `lost` of a selector; None where there are none."""
    gain, prefers = (pairs[name].to_numpy() - pairs[f"{name}_right"].to_numpy() for name in ("score", selector))
    gain, prefers = gain[gain != 0], np.sign(prefers[gain != 0])
    if not len(gain):
        return {"pairs": 0, "right": None, "lost": None}
    agrees = (1 + prefers * np.sign(gain)) / 2  # 1, 1/2, 0
    return {"pairs": len(gain), "right": float(agrees.mean()), "lost": float(((1 - agrees) * abs(gain)).mean())}


def iso_nll_pairs(checkpoints: pl.DataFrame, tolerance: float = 0.01) -> pl.DataFrame:
    """Pairs of checkpoints of two losses whose nll differs by at most `tolerance` of the smaller one.

    Columns system, seed, step, nll, quality and the same with `_right`, and apart: the difference in quality, by which
    the pairs are sorted. A likelihood can't tell the two of a pair from each other.
    """
    rows = checkpoints.drop_nulls().sort("system", "seed", "step").with_row_index("row")
    least = pl.min_horizontal("nll", "nll_right")
    return (
        rows.join_where(rows, pl.col("row") < pl.col("row_right"), suffix="_right")
        .filter(pl.col("system") != pl.col("system_right"))
        .filter((pl.col("nll") - pl.col("nll_right")).abs() <= tolerance * least)
        .with_columns(apart=(pl.col("quality") - pl.col("quality_right")).abs())
        .sort("apart", "row", "row_right", descending=[True, False, False])
        .drop("row", "row_right")
    )
