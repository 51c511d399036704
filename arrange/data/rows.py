"""Rows that a data set can't use: they raise an error that names them, or they are left out and counted."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import polars as pl

from arrange.errors import UserError

log = logging.getLogger(__name__)

SHOWN = 3  # rows of each reason that are named


class LeftOut(NamedTuple):
    """Why rows were left out, how many they were, and the keys of the first of them."""

    why: str
    rows: int
    first: list[str]


def leave_out(
    frame: pl.DataFrame, why: str, bad: pl.Expr, keys: Sequence[str], left_out: list[LeftOut]
) -> pl.DataFrame:
    """The frame without its bad rows. Their number and first keys are appended to `left_out`, also if there are none.

    >>> frame, left_out = pl.DataFrame({"id": ["a", "b"], "n": [1, None]}), []
    >>> leave_out(frame, "n is null", pl.col("n").is_null(), ["id"], left_out).rows()
    [('a', 1)]
    >>> left_out
    [LeftOut(why='n is null', rows=1, first=['b'])]
    """
    flagged = frame.with_columns(_bad=bad.fill_null(False))
    rows = flagged.filter("_bad")
    first = [" ".join(str(value) for value in key) for key in rows.select(keys).head(SHOWN).iter_rows()]
    left_out.append(LeftOut(why, rows.height, first))
    if first:
        log.warning(
            "left out: %s: %s (%s%s)", why, f"{rows.height:,}", ", ".join(first), ", .." * (rows.height > SHOWN)
        )
    return flagged.filter(~pl.col("_bad")).drop("_bad")


def summary(left_out: Sequence[LeftOut]) -> dict[str, dict[str, int | list[str]]]:
    """The same as a dictionary: reason -> rows and first."""
    return {out.why: {"rows": out.rows, "first": out.first} for out in left_out}


def refuse(
    frame: pl.DataFrame, column: str, bad: pl.Expr, why: str, place: Callable[[int], str], remedy: str = ""
) -> None:
    """Raise a UserError for the first bad row, if there is one. `frame` has `row`, its number in the file from 0.

    `place` says where a row is ("products.parquet, row 7").
    """
    rows = frame.filter(bad)
    if rows.is_empty():
        return
    more = f" (and {rows.height - 1:,} more)" if rows.height > 1 else ""
    what = f"{place(rows['row'][0])}: {column} {rows[column][0]!r} {why}{more}"
    raise UserError(what, remedy or "mend the row or leave it out")


def ranks_from_gains() -> pl.Expr:
    """Ranks by falling `gain` within `query_id`, dense from 1; null, a judged negative, where it isn't above 0."""
    negated = pl.when(pl.col("gain") > 0).then(-pl.col("gain").cast(pl.Int64))
    return negated.rank("dense").over("query_id").cast(pl.Int32).alias("rank")


def check_filled(splits: pl.Series, where: str, validation: float, remedies: Mapping[str, str]) -> None:
    """Raise a UserError when no query is left for one of the splits. remedies: what to do, by the name of the split."""
    wanted = ["train", "test", *["validation"] * (validation > 0)]
    if empty := [name for name in wanted if name not in splits]:
        raise UserError(f"{where}: {len(splits):,} queries, none of them in the {empty[0]} split", remedies[empty[0]])


def larger_shares(entry: str) -> dict[str, str]:
    """Remedies of `check_filled` for splits by hash; `entry` is the data set's name in params.yaml.

    >>> larger_shares("mine")["test"]
    'give more queries or a larger datasets.mine.test'
    """
    shares = {name: f"give more queries or a larger datasets.{entry}.{name}" for name in ("validation", "test")}
    return shares | {"train": f"give more queries or a smaller datasets.{entry}.validation"}
