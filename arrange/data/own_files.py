"""The files of a folder of your own: which of them are queries, documents and qrels, and what stands in them.

    documents   documents.*, corpus.* (BEIR), collection.tsv (MS MARCO)
    queries     queries.*, queries.train.tsv and the like (MS MARCO), topics.* (TREC)
    qrels       qrels.*, qrels.train.tsv and the like (MS MARCO), qrels/train.tsv and the like (BEIR)

.csv, .tsv, .jsonl and .parquet have columns; a .tsv may have none: id and text, or a line of TREC's qrels. Any of them
but .parquet may be compressed with gzip (.gz). The folds are train, dev (or validation) and test.
"""

import json
import re
from bisect import bisect_right
from pathlib import Path
from typing import NamedTuple

import polars as pl

from arrange.data import csv_text
from arrange.errors import UserError
from arrange.files import read_text

STEMS = {"queries": ("queries", "topics"), "documents": ("documents", "corpus", "collection"), "qrels": ("qrels",)}
ENDINGS = {
    "queries": (".parquet", ".csv", ".tsv", ".jsonl", ".txt", ".trec"),
    "documents": (".parquet", ".csv", ".tsv", ".jsonl"),
    "qrels": (".parquet", ".csv", ".tsv", ".jsonl", ".txt", ".qrels", ".trec"),
}
FOLDS = {"train": "train", "dev": "validation", "dev.small": "validation", "validation": "validation", "test": "test"}
NAMES = {  # other names of columns
    "queries": {"_id": "query_id", "query-id": "query_id"},
    "documents": {"_id": "doc_id", "corpus-id": "doc_id"},
    "qrels": {"query-id": "query_id", "corpus-id": "doc_id", "score": "gain"},
}
HEADERLESS = {"queries": ["query_id", "text"], "documents": ["doc_id", "text"]}
LINES = {"queries": "query_id, a tab, text", "documents": "doc_id, a tab, text"}
TOPIC = re.compile(r"<top>(.*?)</top>", re.DOTALL | re.IGNORECASE)
NUMBER = re.compile(r"<num>\s*(?:Number:)?\s*([^\s<]+)", re.IGNORECASE)
TITLE = re.compile(r"<title>\s*(?:Topic:)?\s*([^<]*)", re.IGNORECASE)


class File(NamedTuple):
    """A table as text, from one file or several, with `row`, and `fold` where its files have one.

    paths, starts: the files, and the number of the first row of each; `row` goes on from file to file.
    """

    paths: list[Path]
    starts: list[int]
    rows: pl.DataFrame

    @property
    def name(self) -> str:
        """What messages call the table."""
        return ", ".join(path.name for path in self.paths)

    def place(self, row: int) -> str:
        """Where a row stands: its line in a text file, its index in parquet."""
        at = bisect_right(self.starts, row) - 1
        path, row = self.paths[at], row - self.starts[at]
        if path.suffix == ".parquet":
            return f"{path}, row {row}"
        line = csv_text.line(_csv_text(path), row) if _ending(path) == ".csv" else row + 1
        return f"{path}, line {line}"


def find(folder: Path, table: str) -> list[tuple[Path, str | None]]:
    """The files of a table and their folds: one file without a fold, or one for each fold.

    Raises UserError where there is none, or more than that.
    """
    found: dict[str | None, list[Path]] = {}
    inside = [*folder.glob("qrels/*")] if table == "qrels" else []
    for path in sorted([*folder.iterdir(), *inside]):
        stem, _, fold = path.name.removesuffix(".gz").removesuffix(_ending(path)).partition(".")
        if path in inside:
            stem, fold = "qrels", stem
        is_ours = stem in STEMS[table] and _ending(path) in ENDINGS[table] and (not fold or fold in FOLDS)
        if is_ours and path.is_file():
            found.setdefault(FOLDS[fold] if fold else None, []).append(path)
    several = [path for paths in found.values() for path in paths]
    if not found or any(len(paths) > 1 for paths in found.values()) or (None in found and len(found) > 1):
        has = ", ".join(str(path.relative_to(folder)) for path in several) or "none"
        names = " or ".join(f"{stem}{{{','.join(ENDINGS[table])}}}" for stem in STEMS[table])
        what = f"{folder}: one file of {table} is needed, or one of each fold; it has {has}"
        raise UserError(what, f"call it {names}, or {STEMS[table][0]}.train.tsv and so on")
    return [(paths[0], fold) for fold, paths in found.items()]


def read(folder: Path, table: str) -> File:
    """All rows of a table, with the columns of its files under our names, as text."""
    paths, starts, parts, start = [], [], [], 0
    for path, fold in find(folder, table):
        rows = _open(path, table)
        rows = rows.rename({old: new for old, new in NAMES[table].items() if old in rows and new not in rows})
        if "row" not in rows.columns:
            rows = rows.with_row_index("row")
        rows = rows.with_columns(row=pl.col("row").cast(pl.Int64) + start)
        paths.append(path)
        starts.append(start)
        parts.append(rows if fold is None else rows.with_columns(fold=pl.lit(fold)))
        start = start if rows.is_empty() else int(rows["row"].max()) + 1  # type: ignore[arg-type]
    return File(paths, starts, pl.concat(parts, how="diagonal"))


def _ending(path: Path) -> str:
    return Path(path.name.removesuffix(".gz")).suffix


def _open(path: Path, table: str) -> pl.DataFrame:
    """The table of one file; `row` is there where it isn't the place among the rows."""
    try:
        match _ending(path):
            case ".parquet":
                frame = pl.read_parquet(path, glob=False)
                return pl.DataFrame([_as_text(column, path) for column in frame if _is_wanted(column, path)])
            case ".csv":
                return _read_csv(path)
            case ".jsonl":
                return _read_jsonl(path)
            case ".tsv":
                return _read_tsv(path, table)
            case _:
                return _read_trec(path) if table == "qrels" else _read_topics(path)
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


def _lines(path: Path) -> pl.DataFrame:
    """line and row (from 0) of the lines that aren't blank."""
    lines = pl.DataFrame({"line": _csv_text(path).split("\n")}).with_row_index("row")
    lines = lines.with_columns(pl.col("line").str.strip_chars_end("\r"))
    return lines.filter(pl.col("line").str.strip_chars() != "")


def _read_jsonl(path: Path) -> pl.DataFrame:
    """A line is an object; of its values texts and numbers are taken, and a list is refused where it is read."""
    rows, objects = [], []
    for row, line in _lines(path).iter_rows():
        try:
            value = json.loads(line)
        except ValueError as error:
            raise UserError(f"{path}, line {row + 1}: no JSON: {error}", 'write {"_id": .., "text": ..}') from None
        if not isinstance(value, dict):
            raise UserError(f"{path}, line {row + 1}: no object", 'write {"_id": .., "text": ..}')
        for name in COLUMNS & value.keys():
            if isinstance(value[name], (list, dict)):
                what = f"{path}, line {row + 1}: {name} is a {type(value[name]).__name__}"
                raise UserError(what, "write it as text or a number")
        objects.append({name: None if value[name] is None else str(value[name]) for name in COLUMNS & value.keys()})
        rows.append(row)
    names = sorted({name for each in objects for name in each})
    return pl.DataFrame({"row": rows} | {name: [each.get(name) for each in objects] for name in names})


COLUMNS = {"_id", "query_id", "query-id", "doc_id", "corpus-id", "title", "text", "split", "gain", "score", "rank"}


def _read_tsv(path: Path, table: str) -> pl.DataFrame:
    """Fields between tabs; quotes are letters. The first line names the columns, or there are id and text alone."""
    lines = _lines(path)
    if lines.is_empty():
        return pl.DataFrame()
    header = lines["line"][0].split("\t")
    named = len(COLUMNS & {*header}) > 1
    if not named and table == "qrels":
        return _read_trec(path)
    names, body = (header, lines[1:]) if named else (HEADERLESS[table], lines)
    fields = pl.col("line").str.count_matches("\t", literal=True) + 1
    if len(bad := body.filter(fields != len(names))):
        where = f"{path}, line {bad['row'][0] + 1}: {bad['line'][0].count(chr(9)) + 1} fields"
        wanted = f"the header has {len(names)}" if named else f"a line is: {LINES[table]}"
        raise UserError(where, wanted)
    split = body.select("row", pl.col("line").str.split_exact("\t", len(names) - 1).struct.rename_fields(names))
    return split.unnest("line").with_columns(pl.col(names).replace("", None))


def _read_trec(path: Path) -> pl.DataFrame:
    lines = [(row, *line.split()) for row, line in _lines(path).iter_rows()]
    for row, *fields in lines:
        if len(fields) != 4:
            raise UserError(f"{path}, line {row + 1}: {len(fields)} fields", "a line is: query_id 0 doc_id gain")
    schema = {"row": pl.Int64()} | dict.fromkeys(["query_id", "iteration", "doc_id", "gain"], pl.String())
    return pl.DataFrame(lines, schema, orient="row")


def _read_topics(path: Path) -> pl.DataFrame:
    """TREC's topics: the number and the title of each <top>."""
    text, rows = read_text(path), []
    for topic in TOPIC.finditer(text):
        row = text.count("\n", 0, topic.start())
        number, title = NUMBER.search(topic[1]), TITLE.search(topic[1])
        if number is None or title is None:
            lacks = "<num>" if number is None else "<title>"
            raise UserError(
                f"{path}, line {row + 1}: the topic has no {lacks}", "a topic is <top> <num> <title> </top>"
            )
        rows.append((row, number[1], " ".join(title[1].split())))
    if not rows and text.strip():
        raise UserError(f"{path}: it has no <top>", "a topic is <top> <num> <title> </top>; or write a .tsv")
    return pl.DataFrame(rows, {"row": pl.Int64, "query_id": pl.String, "text": pl.String}, orient="row")


def _is_wanted(column: pl.Series, path: Path) -> bool:
    """Whether a column of parquet is one of ours; raises UserError where it is and isn't text or numbers."""
    if column.name in COLUMNS and column.dtype.is_nested():
        raise UserError(f"{path}: column {column.name} is {column.dtype}", "write it as text or numbers")
    return column.name in COLUMNS


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
