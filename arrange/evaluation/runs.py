"""Runs: the ranking of documents that one system gives for each query, as a table.

query_id str, doc_id str, rank Int32 (1, 2, .. k within a query), score Float64 (never rising with the rank);
rows sorted by query_id and rank.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from polars.exceptions import PolarsError

from arrange.errors import UserError
from arrange.files import read_text, replacing

SCHEMA = pl.Schema({"query_id": pl.String, "doc_id": pl.String, "rank": pl.Int32, "score": pl.Float64})


def make_run(
    query_ids: Sequence[str],
    ranked: Sequence[Sequence[tuple[int, float]]],
    doc_ids: Sequence[str],
    *,
    depth: int,
) -> pl.DataFrame:
    """The run of a search's results: `ranked` has pairs of a document's row and a score for each query.

    The order and the depth are those of `from_scores`.
    """
    counts = [len(documents) for documents in ranked]
    rows, scores = zip(*(pair for documents in ranked for pair in documents), strict=True) if any(counts) else ((), ())
    table = pl.DataFrame(
        {
            "query_id": np.repeat(np.asarray(query_ids, dtype=object), counts),
            "doc_id": [doc_ids[row] for row in rows],
            "score": scores,
        },
        schema_overrides=SCHEMA,
    )
    return from_scores(table, depth=depth)


def from_scores(scores: pl.DataFrame, *, depth: int) -> pl.DataFrame:
    """The run of a table of query_id, doc_id, score: by falling score, equal scores by doc_id; the first `depth`."""
    return (
        scores.sort("query_id", "score", "doc_id", descending=[False, True, False])
        .with_columns(rank=pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over("query_id"))
        .filter(pl.col("rank") <= depth)
        .select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())
    )


def leave_out_itself(run: pl.DataFrame, queries_are_documents: bool) -> pl.DataFrame:
    """The run without each query's own document, if the data set's queries are documents (`About`); else as it is.

    >>> rows = {"query_id": ["q", "q"], "doc_id": ["q", "d"], "rank": [1, 2], "score": [2.0, 1.0]}
    >>> leave_out_itself(pl.DataFrame(rows, SCHEMA), True).rows()
    [('q', 'd', 1, 1.0)]
    """
    if not queries_are_documents:
        return run
    others = run.filter(pl.col("doc_id") != pl.col("query_id"))
    return others.with_columns(rank=pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over("query_id"))


def check_run(run: pl.DataFrame, name: str) -> None:
    """Raise UserError, which names the run and the first bad row, unless the table has the form described above."""
    if run.schema != SCHEMA:
        raise UserError(f"{name}: the columns are {dict(run.schema)}", f"make them {dict(SCHEMA)}")
    previous = pl.col("score").shift().over("query_id")
    place = pl.int_range(1, pl.len() + 1).over("query_id")
    problems = {
        "a missing value": pl.any_horizontal(pl.all().is_null()),
        "a score that is not finite": ~pl.col("score").is_finite(),
        "rows out of order": pl.col("query_id") < pl.col("query_id").shift(),
        "a rank that is not the next one": pl.col("rank") != place,
        "a score above that of the rank before": pl.col("score") > previous,
        "a document that its query has twice": pl.struct("query_id", "doc_id").is_duplicated(),
    }
    for problem, is_bad in problems.items():
        bad = run.select(is_bad.fill_null(False).arg_true()).to_series()
        if len(bad):
            raise UserError(f"{name}, row {bad[0] + 1}: {problem}", f"the row is {run.row(bad[0])}; make the run again")


def write_run(run: pl.DataFrame, path: Path, tag: str) -> None:
    """Write a run as `path` (parquet) and beside it, with the suffix .trec, in TREC's text format.

    A line of it is `query_id Q0 doc_id rank score tag`. trec_eval orders by the scores, which it reads as 32-bit
    floats. So there the scores fall strictly: ties are broken in the order of the ranks, by the least possible float.
    Raises UserError for a run that `check_run` refuses, and for ids with white space.
    """
    check_run(run, str(path))
    for column in ("query_id", "doc_id"):
        spaced = run[column].filter(run[column].str.contains(r"\s|^$"))
        if len(spaced):
            raise UserError(f"{path}: {column} {spaced[0]!r} holds white space", "TREC's format has no such ids")
    lines = run.select(
        pl.format("{} Q0 {} {} {} {}", "query_id", "doc_id", "rank", pl.Series(_strict_scores(run)), pl.lit(tag))
    )
    with replacing(path) as part:
        run.write_parquet(part)
    with replacing(path.with_suffix(".trec")) as part:
        lines.write_csv(part, include_header=False, quote_style="never")


def write_runs(folder: Path, run: pl.DataFrame, judged: pl.DataFrame, queries_are_documents: bool = False) -> None:
    """Write both runs of a system, of all documents and of the judged ones, without what `leave_out_itself` leaves out.

    They are run.parquet and judged.parquet, with TREC's files beside them. The folder's name is their tag.
    """
    for file, table in (("run", run), ("judged", judged)):
        write_run(leave_out_itself(table, queries_are_documents), folder / f"{file}.parquet", tag=folder.name)


def read_runs(folder: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What `write_runs` has written: the run of all documents, and that of the judged ones."""
    return read_run(folder / "run.parquet"), read_run(folder / "judged.parquet")


def read_run(path: Path) -> pl.DataFrame:
    """Read a run: a parquet file as described above, or, by any other suffix, a file in TREC's format.

    Raises UserError where it is missing, broken or no run.
    """
    if path.suffix != ".parquet":
        return _read_trec(path)
    try:
        run = pl.read_parquet(path)
    except (OSError, PolarsError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"{path}: cannot read the run: {reason}", "make the run again") from error
    check_run(run, str(path))
    return run


def _read_trec(path: Path) -> pl.DataFrame:
    """The run of lines `query_id Q0 doc_id rank score tag`: by score, as trec_eval reads it, whatever the ranks say."""
    groups = r"^(?<query_id>\S+)\s+\S+\s+(?<doc_id>\S+)\s+\S+\s+(?<score>\S+)\s+\S+$"
    lines = pl.DataFrame({"text": read_text(path).split("\n")}).with_row_index("line", offset=1)
    lines = lines.with_columns(pl.col("text").str.strip_chars()).filter(pl.col("text") != "")
    table = lines.with_columns(pl.col("text").str.extract_groups(groups).struct.unnest())
    table = table.with_columns(pl.col("score").cast(pl.Float64, strict=False))
    problems = {
        "no line of a run, query_id Q0 doc_id rank score tag": pl.col("query_id").is_null(),
        "a score that is no finite number": ~pl.col("score").is_finite().fill_null(False),
        "a document that its query has twice": ~pl.struct("query_id", "doc_id").is_first_distinct(),
    }
    for problem, is_bad in problems.items():
        bad = table.filter(is_bad)
        if len(bad):
            raise UserError(f"{path}, line {bad['line'][0]}: {problem}", f"mend it: {bad['text'][0][:80]}")
    return from_scores(table.select("query_id", "doc_id", "score"), depth=len(table))


def _strict_scores(run: pl.DataFrame) -> list[str]:
    """The scores as texts of 32-bit floats that fall strictly within a query."""
    bits = run["score"].to_numpy().astype(np.float32).view(np.int32).astype(np.int64)
    # Floats as integers of the same order, with neighbours one apart. Negative floats count from the other end.
    order = pl.Series(np.where(bits < 0, -(bits & 0x7FFFFFFF), bits))
    # An integer is at most the one before it minus 1: the running minimum of (integer + rank), minus rank.
    strict = run.select("query_id", "rank", key=order + run["rank"]).select(
        pl.col("key").cum_min().over("query_id") - pl.col("rank")
    )
    key = strict.to_series().to_numpy()
    floats = np.where(key < 0, -key | 0x80000000, key).astype(np.uint32).view(np.float32)
    return [f"{value:.9g}" for value in floats.tolist()]
