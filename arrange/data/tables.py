"""The three tables of a data set, and their check.

    queries    query_id str, text str, split str           split: train, validation or test
    documents  doc_id str, text str
    qrels      query_id str, doc_id str, rank i32, gain i32

`rank` counts from 1 without gaps within a query; equal ranks are ties; null is a judged negative.
`gain` is an integer of at least 0. Every query has a ranked document. Queries are sorted by query_id,
documents by doc_id, qrels by (query_id, rank with nulls last, doc_id).

On disk a data set is a folder. The test split has files of its own, so that stages that train don't depend on it:

    documents.parquet  queries.parquet  qrels.parquet  test/queries.parquet  test/qrels.parquet  about.json

about.json says what the data set is (`About`). If results are wanted by kind of query (by locale, say), groups.parquet
has query_id, grouping and group, all str: one row for each query and grouping.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import polars as pl

from arrange.errors import UserError
from arrange.files import replacing

SplitName = Literal["train", "validation", "test"]
SPLITS = get_args(SplitName)
SCHEMAS = {
    "queries": pl.Schema({"query_id": pl.String, "text": pl.String, "split": pl.String}),
    "documents": pl.Schema({"doc_id": pl.String, "text": pl.String}),
    "qrels": pl.Schema({"query_id": pl.String, "doc_id": pl.String, "rank": pl.Int32, "gain": pl.Int32}),
}
GROUPS = ("grouping", "group", "query_id")
KEYS = {"queries": ["query_id"], "documents": ["doc_id"], "qrels": ["query_id", "doc_id"]}
REMEDY = "prepare the data set again"
LISTS = ("nDCG@10", "overlap@1", "overlap@3", "overlap@5", "R@10", "tau_b")  # where documents have ranks
TIERS = ("nDCG@10", "judged@10", "R@10", "RR", "AP", "pairs")  # where they have graded labels
LARGEST_GRADE = 1000  # a gain above it stands for a rank; nDCG with exponential gains is undefined there


class Dataset(NamedTuple):
    """Queries, documents and judgements, as described at the top of this module."""

    queries: pl.DataFrame
    documents: pl.DataFrame
    qrels: pl.DataFrame


@dataclass(frozen=True)
class About:
    """What a data set is, for reports and records.

    title: one sentence that names it.
    note: what a reader of its numbers must know; "" for nothing.
    source: where it comes from; "" if that is not known.
    measures: the columns of its tables, of `arrange.evaluation.measures`; the first is the main one.
    labels: the name of each gain, best first ({100: "exact", ..}); empty where documents have ranks.
    queries_are_documents: a document with a query's id is the query itself, and no run ranks it for that query.
    left_out: what preparation left out: reason -> number of rows and the keys of the first of them.
    """

    title: str
    note: str = ""
    source: str = ""
    measures: tuple[str, ...] = LISTS
    labels: Mapping[int, str] = field(default_factory=dict)
    queries_are_documents: bool = False
    left_out: Mapping[str, Any] = field(default_factory=dict)


class Prepared(NamedTuple):
    """What the preparation of a data set returns, and `write` takes. groups: None where queries are of one kind."""

    dataset: Dataset
    about: About
    groups: pl.DataFrame | None = None


def headline(qrels: pl.DataFrame) -> tuple[str, ...]:
    """The measures for a data set's tables: those of graded labels where a query has no gain above 1000, else of ranks.

    >>> qrels = pl.DataFrame({"query_id": ["q"], "gain": [3]})
    >>> headline(qrels) == TIERS
    True
    """
    largest = qrels.group_by("query_id").agg(pl.col("gain").max())["gain"]
    return TIERS if (largest <= LARGEST_GRADE).any() else LISTS


def check(dataset: Dataset) -> None:
    """Raise a UserError that names table, row and column unless the data set keeps the contract."""
    for table, frame in dataset._asdict().items():
        _check_schema(frame, table, table)
        _check_keys(frame, table)
    queries, documents, qrels = dataset
    _refuse("queries", queries, "split", ~pl.col("split").is_in(SPLITS), f"not one of {', '.join(SPLITS)}")
    _refuse("qrels", qrels, "query_id", ~_id_of(queries), "not in the queries")
    _refuse("qrels", qrels, "doc_id", ~_id_of(documents), "not in the documents")
    _refuse("qrels", qrels, "gain", pl.col("gain") < 0, "below 0")
    ranked = qrels.drop_nulls("rank")
    _refuse("queries", queries, "query_id", ~_id_of(ranked.select("query_id")), "without a ranked document")
    dense = pl.col("rank").rank("dense").over("query_id")
    _refuse("qrels", qrels, "rank", pl.col("rank") != dense, "not dense from 1 within its query")


def write(dataset: Dataset, folder: Path, groups: pl.DataFrame | None = None, about: About | None = None) -> None:
    """Check the data set, sort it and write it as `folder`, whole or not at all.

    Without `about` its title is the folder's name.
    """
    check(dataset)
    dataset = _sorted(dataset)
    is_test = dataset.queries["split"] == "test"
    with replacing(folder) as part:
        _write_split(part, dataset.queries.filter(~is_test), dataset.qrels)
        _write_split(part / "test", dataset.queries.filter(is_test), dataset.qrels)
        dataset.documents.write_parquet(part / "documents.parquet")
        if groups is not None:
            groups.select(GROUPS).sort(GROUPS).write_parquet(part / "groups.parquet")
        about = about or About(title=f"Data set `{folder.name}`.", measures=headline(dataset.qrels))
        (part / "about.json").write_text(json.dumps(asdict(about), indent=1))


def read(folder: Path, splits: Iterable[SplitName] = ("train", "validation")) -> Dataset:
    """The data set with the queries of `splits` alone (and all documents), as `write` left it.

    The test files are opened only when `splits` names "test". Raises UserError when a file is
    missing, damaged or of another schema.
    """
    wanted = set(splits)
    places = [folder] * bool(wanted - {"test"}) + [folder / "test"] * ("test" in wanted)
    queries = pl.concat([_read(place, "queries") for place in places]).filter(pl.col("split").is_in(wanted))
    qrels = pl.concat([_read(place, "qrels") for place in places]).filter(_id_of(queries))
    return _sorted(Dataset(queries, _read(folder, "documents"), qrels))


def read_groups(folder: Path) -> pl.DataFrame:
    """The groupings of a data set's queries; an empty table where it has none. Raises UserError for a damaged file."""
    path = folder / "groups.parquet"
    return _read_parquet(path) if path.exists() else pl.DataFrame(schema=dict.fromkeys(GROUPS, pl.String))


def read_about(folder: Path) -> About:
    """What a data set is. Raises UserError when about.json is missing or damaged."""
    path = folder / "about.json"
    try:
        content = json.loads(path.read_text())
        labels = {int(gain): str(label) for gain, label in content.pop("labels").items()}
        return About(**content | {"measures": tuple(content["measures"])}, labels=labels)
    except FileNotFoundError:
        raise UserError(f"{path} is missing", REMEDY) from None
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise UserError(f"{path} is damaged: {error}", REMEDY) from None


def _write_split(folder: Path, queries: pl.DataFrame, qrels: pl.DataFrame) -> None:
    folder.mkdir()
    queries.write_parquet(folder / "queries.parquet")
    qrels.filter(_id_of(queries)).write_parquet(folder / "qrels.parquet")


def _sorted(dataset: Dataset) -> Dataset:
    return Dataset(
        dataset.queries.sort("query_id"),
        dataset.documents.sort("doc_id"),
        dataset.qrels.sort("query_id", "rank", "doc_id", nulls_last=True),
    )


def _read(folder: Path, table: str) -> pl.DataFrame:
    path = folder / f"{table}.parquet"
    frame = _read_parquet(path)
    _check_schema(frame, table, str(path))
    return frame


def _read_parquet(path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(path, glob=False)
    except FileNotFoundError:
        raise UserError(f"{path} is missing", REMEDY) from None
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} is damaged: {reason}", REMEDY) from None


def _check_schema(frame: pl.DataFrame, table: str, where: str) -> None:
    remedy = "its columns are " + ", ".join(f"{name} {kind}" for name, kind in SCHEMAS[table].items())
    for name, kind in SCHEMAS[table].items():
        if name not in frame.columns:
            raise UserError(f"{where}: column {name} is missing", remedy)
        if frame.schema[name] != kind:
            raise UserError(f"{where}: column {name} is {frame.schema[name]}, not {kind}", remedy)
    if unknown := [name for name in frame.columns if name not in SCHEMAS[table]]:
        raise UserError(f"{where}: column {unknown[0]} is unknown", remedy)
    if frame.columns != SCHEMAS[table].names():
        raise UserError(f"{where}: the columns are in another order", remedy)


def _check_keys(frame: pl.DataFrame, table: str) -> None:
    for name in frame.columns:
        if name != "rank":
            _refuse(table, frame, name, pl.col(name).is_null(), "null")
    keys = KEYS[table]
    _refuse(table, frame, " and ".join(keys), pl.struct(keys).is_duplicated(), "there more than once")


def _id_of(table: pl.DataFrame) -> pl.Expr:
    """True where the id is one of the table's (its first column)."""
    return pl.col(table.columns[0]).is_in(table.to_series(0).unique().implode())


def _refuse(table: str, frame: pl.DataFrame, column: str, bad: pl.Expr, why: str) -> None:
    """Raise for the first bad row, counted from 0, if there is one."""
    rows = frame.with_row_index("row").filter(bad)
    if rows.is_empty():
        return
    columns = dict.fromkeys([*KEYS[table], *(name for name in frame.columns if name == column)])
    values = ", ".join(f"{name} {rows[name][0]!r}" for name in columns)
    more = f" (and {rows.height - 1} more)" if rows.height > 1 else ""
    raise UserError(f"{table}, row {rows['row'][0]}: {column} is {why}: {values}{more}", "mend the row or leave it out")
