"""A teacher's table: the documents that another system found for each training query, with its scores.

It is a run file, or a table of query_id, doc_id and score. Judged documents keep their ranks, whatever the teacher
says; of the others its first ones join the list without a rank, as in `arrange.training.list_terms`.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars.exceptions import PolarsError

from arrange.errors import UserError
from arrange.evaluation import runs
from arrange.training.examples import Examples, with_unranked
from arrange.training.settings import TeacherTable

COLUMNS = {name: runs.SCHEMA[name] for name in ("query_id", "doc_id", "score")}
AGAIN = "make the table again, or name another one (finetune.teacher.table)"


def read_table(path: Path) -> pl.DataFrame:
    """A teacher's table as a run: best first. A parquet file with these columns, or a file in TREC's format.

    Raises UserError where it is missing, broken, has a score that is no finite number, or a document twice.
    """
    if path.suffix != ".parquet":
        return runs.read_run(path)
    try:
        table = pl.read_parquet(path, columns=list(COLUMNS)).cast(COLUMNS)  # type: ignore[arg-type]  # of a schema
    except (OSError, PolarsError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"{path}: cannot read query_id, doc_id and score: {reason}", AGAIN) from error
    problems = {
        "a missing value": pl.any_horizontal(pl.all().is_null()),
        "a score that is not finite": ~pl.col("score").is_finite(),
        "a document that its query has twice": pl.struct("query_id", "doc_id").is_duplicated(),
    }
    for problem, is_bad in problems.items():
        bad = table.select(is_bad.fill_null(False).arg_true()).to_series()
        if len(bad):
            raise UserError(f"{path}, row {bad[0] + 1}: {problem}", f"the row is {table.row(bad[0])}; {AGAIN}")
    return runs.from_scores(table, depth=len(table))


def with_teacher(lists: Examples, query_ids: Sequence[str], doc_ids: Sequence[str], teacher: TeacherTable) -> Examples:
    """The lists with a teacher's scores, nan where it has none.

    In the regime `corpus` its first `depth` documents join the lists; in context the prompt shows the lists, which stay
    as they are. query_ids, doc_ids: of the rows of `lists` and of the document table.
    Raises UserError where the table has none of the queries, or a document without a docID.
    """
    table = read_table(Path(teacher.table))
    rows = pl.DataFrame({"doc_id": doc_ids}).with_row_index("row")
    queries = pl.DataFrame({"query_id": query_ids}).with_row_index("query")
    found = table.join(queries, on="query_id", maintain_order="left")
    if found.is_empty():
        what = f"{teacher.table}: none of the {len(query_ids)} training queries is in it"
        raise UserError(what, "name a table of this data set's training queries (finetune.teacher.table)")
    unknown = found.join(rows, on="doc_id", how="anti", maintain_order="left")
    if len(unknown):
        query_id, doc_id = unknown.row(0)[:2]
        what = f"{teacher.table}: {len(unknown)} documents have no docID, the first {doc_id!r} of query {query_id!r}"
        raise UserError(what, "name a table over the documents of the data set (finetune.teacher.table)")
    scored = found.join(rows, on="doc_id", maintain_order="left")
    if lists.candidate is None:
        first = scored.filter(pl.col("rank") <= teacher.depth).group_by("query", maintain_order=True).agg("row")
        new = zip(first["query"], first["row"], strict=True)
        lists = with_unranked(lists, {query: rows_K.to_numpy().astype(np.int64) for query, rows_K in new})
    return replace(lists, teacher=_scores(lists, scored))


def _scores(lists: Examples, scored: pl.DataFrame) -> list[NDArray[np.float64]]:
    """The teacher's score of each document of each list. scored: query, row and score."""
    counts = [len(rows_D) for rows_D, _ in lists.lists]
    listed = pl.DataFrame(
        {
            "query": np.repeat(np.arange(len(counts)), counts),
            "row": np.concatenate([rows_D for rows_D, _ in lists.lists]),
        }
    )
    wanted = scored.select(pl.col("query", "row").cast(pl.Int64), "score")
    score_D = listed.join(wanted, on=["query", "row"], how="left", maintain_order="left")["score"]
    return np.split(score_D.fill_null(np.nan).to_numpy(), np.cumsum(counts)[:-1])
