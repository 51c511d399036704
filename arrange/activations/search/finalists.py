"""The best of each search, measured once more on fresh problems. This decides which one won."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import polars as pl

from arrange.activations.classical import CLASSICAL
from arrange.activations.evaluation import Evaluate
from arrange.activations.mined import MINED
from arrange.activations.programs.files import save, source_of
from arrange.activations.search.export import best_confirmed
from arrange.activations.settings import Group

REAL = dict.fromkeys(("flops", "gain", "fitness", "confirmed", "validated"), pl.Float64())
TEXT = dict.fromkeys(("name", "search", "source", "mutator"), pl.String())
FINALISTS = pl.Schema({**TEXT, "id": pl.Int64(), "pointwise": pl.Boolean(), **REAL})


def best_of_searches(searches: Mapping[str, pl.DataFrame], count: int) -> pl.DataFrame:
    """The `count` best of each search by its table of candidates: FINALISTS, `validated` null."""
    rows = [
        {"name": f"{search}-{row['id']}", "search": search, **row}
        for search, candidates in searches.items()
        for row in best_confirmed(candidates, count).rows(named=True)
    ]
    return pl.DataFrame(rows, FINALISTS)


def validate_finalists(
    finalists: pl.DataFrame, evaluate: Evaluate, reached: Callable[[int], object] = lambda done: None
) -> pl.DataFrame:
    """The finalists with their fitness on fresh problems, the best first: FINALISTS and `winner`.

    `winner` is true for the first of each search. Finalists without a fitness there are left out. `reached` is called
    after each finalist.
    """
    validated = []
    for source in finalists["source"]:
        (evaluation,) = evaluate([source], "validate")
        validated.append(evaluation.fitness)
        reached(len(validated))
    table = finalists.with_columns(pl.Series("validated", validated, pl.Float64)).drop_nulls("validated")
    ranked = table.sort("validated", "name", descending=[True, False])
    return ranked.with_columns(winner=pl.col("search").is_first_distinct())


def write_finalists(finalists: pl.DataFrame, folder: Path) -> None:
    """Write finalists.parquet, and each function as a module that needs nothing but torch; best.py is the first."""
    folder.mkdir(parents=True)
    finalists.write_parquet(folder / "finalists.parquet")
    for place, row in enumerate(finalists.rows(named=True)):
        about = {name: row[name] for name in ("name", "search", "mutator", *REAL)}
        about["batch statistics"] = "no" if row["pointwise"] else "yes"
        for name in [row["name"], "best"] if place == 0 else [row["name"]]:
            save(folder / f"{name}.py", row["source"], about)


def sources_of_groups(groups: Sequence[Group], finalists: pl.DataFrame, count: int) -> dict[str, str]:
    """The programs of these groups by name.

    found: the `count` best of `finalists` (name, source, winner; the best first) and the winner of each search.
    classical, mined: all of `arrange.activations.classical` and `arrange.activations.mined`.
    """
    chosen = finalists.with_row_index("place").filter((pl.col("place") < count) | pl.col("winner"))
    sources = {
        "found": dict(chosen.select("name", "source").iter_rows()),
        "classical": {name: source_of(function) for name, function in CLASSICAL.items()},
        "mined": {name: source_of(function) for name, function in MINED.items()},
    }
    return {name: source for group in groups for name, source in sources[group].items()}
