"""Who takes part in a comparison: known activations, and what searches found, as programs by name."""

from collections.abc import Sequence
from typing import Literal

import polars as pl

from arrange.activations.classical import CLASSICAL
from arrange.activations.found import text
from arrange.activations.mined import MINED

Group = Literal["found", "classical", "mined"]


def programs(groups: Sequence[Group], finalists: pl.DataFrame, count: int) -> dict[str, str]:
    """Sources by name, of the groups asked for.

    found: the `count` best of `finalists` (name, source, winner; the best first) and the winner of each search.
    classical, mined: all of `arrange.activations.classical` and `arrange.activations.mined`.
    """
    chosen = finalists.with_row_index("place").filter((pl.col("place") < count) | pl.col("winner"))
    sources = {
        "found": dict(chosen.select("name", "source").iter_rows()),
        "classical": {name: text(function) for name, function in CLASSICAL.items()},
        "mined": {name: text(function) for name, function in MINED.items()},
    }
    return {name: source for group in groups for name, source in sources[group].items()}
