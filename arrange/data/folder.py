"""Your own data: a folder of three files becomes a ranking data set.

    queries     query_id, text, and split (train, validation or test) if you have one
    documents   doc_id, text
    qrels       query_id, doc_id, and gain or rank or both

each as .parquet or .csv; qrels also as TREC writes them (.txt, .qrels, .trec; no header):

    query_id 0 doc_id gain

Ids may be numbers. Other columns are not read. A document with a gain of 0 or less is a judged negative. A query can't
have a document of its own id: systems never rank that document, since on WordNet it is the query itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import polars as pl

from arrange.bounds import Share, ShareAbove0
from arrange.data import csv_text
from arrange.data.rows import LeftOut, check_filled, larger_shares, leave_out, ranks_from_gains, refuse, summary
from arrange.data.splits import assign
from arrange.data.tables import KEYS, SCHEMAS, SPLITS, About, Dataset, Prepared, headline
from arrange.errors import UserError
from arrange.files import read_text

GAIN = 10**6  # of rank 1, where ranks are given and gains are not
NEEDED = {"queries": ["text"], "documents": ["text"], "qrels": []}  # beside the keys
TABLES = (".parquet", ".csv")
TREC = (".txt", ".qrels", ".trec")
EMPTY = {
    "queries": "give it a row for each query: query_id, text",
    "documents": "give it a row for each document: doc_id, text",
    "qrels": "give it a row for each judged pair: query_id, doc_id, gain",
}
NULLS = ["", "null", "None", "NaN"]  # of rank and gain in a csv file


@dataclass(frozen=True, kw_only=True)
class Folder:
    """Settings of a data set from a folder of your own; what they mean: see `tables`.

    raw: the folder, as an absolute path: presets and overrides run in another working directory.
    """

    source: Literal["folder"] = "folder"
    raw: str
    validation: ShareAbove0 = 0.05
    test: Share = 0.1

    def __post_init__(self) -> None:
        if not Path(self.raw).is_absolute() or "\0" in self.raw:
            raise ValueError(f"raw {self.raw!r} isn't an absolute path; `make run DATA=...` takes any path")

    def prepare(self, name: str) -> Prepared:
        """The tables of the folder."""
        folder = Path(self.raw)
        dataset, left_out = tables(folder, self.validation, self.test, name)
        about = About(
            title=f"Own data ({name}).",
            source=f"own data ({folder.name})",
            measures=headline(dataset.qrels),
            left_out=summary(left_out),
        )
        return Prepared(dataset, about)


class File(NamedTuple):
    """A table as text, with `row` (from 0), and what its file is called in messages."""

    path: Path
    rows: pl.DataFrame

    def place(self, row: int) -> str:
        """Where a row stands: its line in a text file, its index in parquet."""
        if self.path.suffix == ".parquet":
            return f"{self.path}, row {row}"
        line = csv_text.line(_csv_text(self.path), row) if self.path.suffix == ".csv" else row + 1
        return f"{self.path}, line {line}"


def tables(folder: Path, validation: float, test: float, name: str = "NAME") -> tuple[Dataset, list[LeftOut]]:
    """The three tables of a folder, and what was left out: queries without a document that has a rank.

    Without a split column `splits.assign` makes `validation` and `test` by hash of the query_id; a column without
    "validation" keeps its test queries, and validation is made out of the others. Without ranks they are the dense
    ranks of falling gains; without gains they are round(10^6 / rank). Gains below 0 become 0.
    name: of the data set's entry in params.yaml, for messages.
    Raises UserError, which names file, row and column, for a file or column that is missing, a file that is empty,
    malformed or not in UTF-8, an id that is null, there twice, or unknown to the other files, an empty text, a gain or
    rank that is no whole number, ranks that skip, ranks and gains that contradict each other, and a split without a
    query.

    >>> dataset, left_out = tables(Path("my/folder"), validation=0.05, test=0.1)  # doctest: +SKIP
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder", "name the folder with your queries, documents and qrels")
    queries, documents, qrels = (_read(folder, table) for table in ("queries", "documents", "qrels"))
    _check(queries, documents, qrels)
    left_out: list[LeftOut] = []
    judged = _judgements(qrels)
    nothing = pl.col("rank").is_null().all().over("query_id")
    why = "judgements of queries without a ranked document"
    judged = leave_out(judged, why, nothing, KEYS["qrels"], left_out)
    without = ~pl.col("query_id").is_in(judged["query_id"].unique().implode())
    kept = leave_out(queries.rows, "queries without a ranked document", without, KEYS["queries"], left_out)
    kept = kept.with_columns(_splits(queries._replace(rows=kept), validation, test))
    check_filled(kept["split"], str(folder), validation, _remedies(queries, name))
    return Dataset(
        kept.select(SCHEMAS["queries"].names()).sort("query_id"),
        documents.rows.select(SCHEMAS["documents"].names()).sort("doc_id"),
        judged.sort("query_id", "rank", "doc_id", nulls_last=True),
    ), left_out


def _read(folder: Path, table: str) -> File:
    """The one file of a table: the columns of its schema, as text."""
    endings = (*TABLES, *TREC) if table == "qrels" else TABLES
    paths = [folder / f"{table}{ending}" for ending in endings if (folder / f"{table}{ending}").is_file()]
    if len(paths) != 1:
        has = ", ".join(path.name for path in paths) or "none"
        raise UserError(
            f"{folder}: one file of {table} is needed, it has {has}", f"{table} ends in {', '.join(endings)}"
        )
    path = paths[0]
    frame = _open(path)
    if frame.is_empty():
        raise UserError(f"{path} is empty", EMPTY[table])
    value = ["gain"] if table == "qrels" and "rank" not in frame.columns else []
    for name in [*KEYS[table], *NEEDED[table], *value]:
        if name not in frame.columns:
            raise UserError(f"{path}: column {name} is missing", f"it has {_shown(frame.columns)}")
    names = [name for name in SCHEMAS[table] if name in frame.columns]
    if nested := [name for name in names if frame.schema[name].is_nested()]:
        raise UserError(f"{path}: column {nested[0]} is {frame.schema[nested[0]]}", "write it as text or numbers")
    return File(path, pl.DataFrame([_as_text(frame[name], path) for name in names]).with_row_index("row"))


def _open(path: Path) -> pl.DataFrame:
    try:
        return _READERS.get(path.suffix, _read_trec)(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} can't be read: {reason}", "write the file again") from None


def _csv_text(path: Path) -> str:
    return csv_text.normalised(read_text(path))


def _read_csv(path: Path) -> pl.DataFrame:
    text = _csv_text(path)
    if not text.strip():
        return pl.DataFrame()
    csv_text.check(text, path)
    return pl.read_csv(text.encode(), infer_schema=False)


def _read_parquet(path: Path) -> pl.DataFrame:
    return pl.read_parquet(path, glob=False)


def _read_trec(path: Path) -> pl.DataFrame:
    lines = [line.split() for line in read_text(path).rstrip().splitlines()]
    for number, fields in enumerate(lines, start=1):
        if len(fields) != 4:
            raise UserError(f"{path}, line {number}: {len(fields)} fields", "a line is: query_id 0 doc_id gain")
    return pl.DataFrame(lines, dict.fromkeys(["query_id", "iteration", "doc_id", "gain"], pl.String), orient="row")


_READERS: dict[str, Callable[[Path], pl.DataFrame]] = {".csv": _read_csv, ".parquet": _read_parquet}


def _as_text(column: pl.Series, path: Path) -> pl.Series:
    try:
        return column.cast(pl.String)
    except pl.exceptions.PolarsError:
        bad = next((row for row, value in enumerate(column) if not _is_utf8(value)), None)
        where = path if bad is None else f"{path}, row {bad}"
        raise UserError(f"{where}: column {column.name} isn't UTF-8", "write the column as text") from None


def _is_utf8(value: object) -> bool:
    try:
        return not isinstance(value, bytes) or isinstance(value.decode(), str)
    except UnicodeDecodeError:
        return False


def _shown(columns: Sequence[str]) -> str:
    """The first names of a header, cut where they are long, for a message of one line."""
    names = [repr(name if len(name) <= 30 else f"{name[:30]}..") for name in columns[:10]]
    return ", ".join([*names, *[".."] * (len(columns) > 10)])


def _check(queries: File, documents: File, qrels: File) -> None:
    """Ids and texts: none is missing, no id is there twice, and the ids of the qrels are in the other files."""
    for file, key in ((queries, "query_id"), (documents, "doc_id")):
        _check_keys(file, [key])
        refuse(file.rows, "text", pl.col("text").fill_null("").str.strip_chars() == "", "is no text", file.place)
        unknown = ~pl.col(key).is_in(file.rows[key].implode())
        refuse(qrels.rows, key, unknown, f"is not in {file.path.name}", qrels.place)
    _check_keys(qrels, KEYS["qrels"])
    itself = pl.col("doc_id") == pl.col("query_id")
    why = "is its query's id too, and systems never rank a document of that id"
    refuse(qrels.rows, "doc_id", itself, why, qrels.place, "give documents other ids, d1 for 1 say")


def _check_keys(file: File, keys: list[str]) -> None:
    for key in keys:
        refuse(file.rows, key, pl.col(key).fill_null("") == "", "is no id", file.place)
        refuse(file.rows, key, pl.col(key).str.contains(r"\s"), "holds white space, as no id of a run may", file.place)
    name = " and ".join(keys)
    rows = file.rows.with_columns(pl.concat_str(keys, separator=" ").alias(name))
    refuse(rows, name, ~pl.struct(keys).is_first_distinct(), "is there before", file.place)


def _judgements(qrels: File) -> pl.DataFrame:
    """query_id, doc_id, rank and gain; if one of rank and gain is missing it is made from the other."""
    rows = qrels.rows
    for name in ("rank", "gain"):
        if name in rows.columns:
            rows = _whole_numbers(qrels._replace(rows=rows), name)
    if "gain" in rows.columns:
        rows = rows.with_columns(pl.col("gain").clip(0))
    if "rank" not in rows.columns:
        rows = rows.with_columns(ranks_from_gains())
    elif "gain" in rows.columns:
        _check_agreement(qrels._replace(rows=rows))
    dense = pl.col("rank").rank("dense").over("query_id")
    why = "is not dense: ranks count from 1 without gaps within a query"
    refuse(rows, "rank", pl.col("rank") != dense, why, qrels.place)
    if "gain" not in rows.columns:
        rows = rows.with_columns(gain=(GAIN / pl.col("rank")).round().fill_null(0))
    return rows.select(SCHEMAS["qrels"].names()).cast(SCHEMAS["qrels"])


def _check_agreement(qrels: File) -> None:
    """A document has a rank if and only if its gain is above 0, and its gain is at most that of a better rank."""
    ranked = pl.col("rank").is_not_null()
    refuse(qrels.rows, "gain", (pl.col("gain") > 0) != ranked, "contradicts its rank: both or none", qrels.place)
    least = qrels.rows.filter(ranked).group_by("query_id", "rank").agg(pl.col("gain").min()).sort("query_id", "rank")
    before = least.select("query_id", "rank", better=pl.col("gain").cum_min().shift().over("query_id"))
    rows = qrels.rows.join(before, on=["query_id", "rank"], how="left", maintain_order="left")
    refuse(rows, "gain", pl.col("gain") > pl.col("better"), "is above that of a better rank", qrels.place)


def _whole_numbers(file: File, name: str) -> pl.DataFrame:
    """The column as Int32; only a rank may be null."""
    column = pl.when(~pl.col(name).is_in(NULLS)).then(pl.col(name).str.strip_chars())
    number = column.cast(pl.Float64, strict=False)
    wrong = (column.is_not_null() & (number.is_null() | (number != number.round()) | (number.abs() >= 2**31))) | (
        column.is_null() & (name == "gain")
    )
    if name == "gain":
        why = "is no whole number"
        refuse(file.rows, name, number != number.round(), why, file.place, "multiply all gains by 10 or 100, say")
    refuse(file.rows, name, wrong, "is no whole number below 2^31", file.place)
    return file.rows.with_columns(number.cast(pl.Int32).alias(name))


def _remedies(queries: File, name: str) -> dict[str, str]:
    """What to do when a split has no query, by its name."""
    if "split" not in queries.rows.columns:
        by_hash = larger_shares(name)
        return {split: f"{remedy}, or a column split in {queries.path.name}" for split, remedy in by_hash.items()}
    given = {split: f"write {split} into the column split of some queries with judgements" for split in SPLITS}
    if "validation" in queries.rows["split"]:
        return given
    return given | {"validation": larger_shares(name)["validation"]}


def _splits(queries: File, validation: float, test: float) -> pl.Series:
    rows = queries.rows
    if "split" not in rows.columns:
        return assign(rows["query_id"], validation, test)
    why = f"is not one of {', '.join(SPLITS)}"
    refuse(rows, "split", ~pl.col("split").is_in(SPLITS).fill_null(False), why, queries.place)
    if "validation" in rows["split"]:
        return rows["split"]
    by_hash = assign(rows["query_id"], validation, test=0)
    return rows.select(pl.when(pl.col("split") == "test").then("split").otherwise(by_hash).alias("split")).to_series()
