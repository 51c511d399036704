"""The table of rankers with other activations, and the portfolios that validation picks from it."""

from collections.abc import Mapping, Sequence

import polars as pl

from arrange.activations.portfolio import control, titled

REFERENCE, MEASURE = "gelu", "nDCG@10"
SWAPPED = pl.Schema(
    {"system": pl.String(), "seed": pl.Int64(), "activation": pl.String()}
    | dict.fromkeys(("rate", "validation"), pl.Float64())
    | dict.fromkeys(("query_id", "cluster"), pl.String())
    | {MEASURE: pl.Float64()}
)


def with_portfolios(scores: pl.DataFrame, portfolios: Mapping[str, Sequence[str]]) -> pl.DataFrame:
    """The scores, and those of each portfolio and of the control of equal training as systems by their titles: SWAPPED.

    A portfolio has, for each seed, the ranker of the member with the highest nDCG@10 on the validation queries, the
    first of equals; `activation` says which. Members that were not trained are left out, and so is a portfolio with one
    member. The control is `portfolio.best_of_seeds` with GELU: the best of as many seeds as the largest portfolio has
    members, or of all where there are fewer. With one seed there is none.
    """
    seeds = scores["seed"].unique().sort().to_list()
    trained = set(scores["system"])
    usable = {name: [member for member in members if member in trained] for name, members in portfolios.items()}
    parts, size = [scores], 1
    for name, members in usable.items():
        if len(members) > 1:
            parts += [_best(scores, [(member, seed) for member in members], titled(name), seed) for seed in seeds]
            size = min(len(seeds), max(size, len(members)))
    if size > 1:
        turned = [[seeds[(place + shift) % len(seeds)] for shift in range(size)] for place in range(len(seeds))]
        pairs = zip(turned, seeds, strict=True)
        parts += [_best(scores, [(REFERENCE, one) for one in among], control(size), seed) for among, seed in pairs]
    return pl.concat(parts)


def _best(scores: pl.DataFrame, among: Sequence[tuple[str, int]], title: str, seed: int) -> pl.DataFrame:
    """The rows of the system and seed with the highest validation, under another title and seed."""
    runs = [scores.filter(system=system, seed=own) for system, own in among]
    best = max(runs, key=lambda run: run["validation"][0])  # the first of equals
    return best.with_columns(system=pl.lit(title), seed=pl.lit(seed, pl.Int64))
