"""Your own data: a folder of queries, documents and qrels becomes a ranking data set.

    queries     query_id, text, and split (train, validation or test) if you have one
    documents   doc_id, text, and title if you have one
    qrels       query_id, doc_id, and gain or rank or both

each as .parquet, .csv, .tsv or .jsonl; qrels also as TREC writes them (.txt, .qrels, .trec; no header):

    query_id 0 doc_id gain

BEIR's folders, TREC's topics and MS MARCO's tsv are read as they are, compressed or not: `arrange.data.own_files` says
by which names. Ids may be numbers. Other columns are not read. A document with a gain of 0 or less is a judged
negative. Where queries are documents (same id and text), a query's own document leaves its run.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from arrange.bounds import Count, CountOr0, Share, ShareAbove0
from arrange.data import own_files
from arrange.data.coverage import coverage, warnings
from arrange.data.own_files import File
from arrange.data.rows import LeftOut, check_filled, larger_shares, leave_out, ranks_from_gains, refuse, summary
from arrange.data.splits import assign, assign_fold
from arrange.data.tables import KEYS, SCHEMAS, SPLITS, About, Dataset, Prepared, headline
from arrange.errors import UserError

log = logging.getLogger(__name__)

GAIN = 10**6  # of rank 1, where ranks are given and gains are not
NEEDED = {"queries": ["text"], "documents": ["text"], "qrels": []}  # beside the keys
OFFICIAL = ("corpus", "collection")  # documents of published collections, whose faults aren't the user's
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
    folds, fold: of cross-validation, how many and which one is tested, from 1; 0 folds: none.
    """

    source: Literal["folder"] = "folder"
    raw: str
    validation: ShareAbove0 = 0.05
    test: Share = 0.1
    folds: CountOr0 = 0
    fold: Count = 1

    def __post_init__(self) -> None:
        if not Path(self.raw).is_absolute() or "\0" in self.raw:
            raise ValueError(f"raw {self.raw!r} isn't an absolute path; `make run DATA=...` takes any path")
        if self.folds and not (self.folds > 1 and self.fold <= self.folds):
            raise ValueError(f"fold {self.fold} of {self.folds}: give at least 2 folds, and the number of one of them")

    def prepare(self, name: str) -> Prepared:
        """The tables of the folder."""
        folder = Path(self.raw)
        dataset, left_out = tables(folder, self.validation, self.test, name, self.folds, self.fold)
        for warning in warnings(coverage(dataset, "test")):
            log.warning("%s", warning)
        about = About(
            title=f"Own data ({name}{f', fold {self.fold} of {self.folds}' * bool(self.folds)}).",
            source=f"own data ({folder.name})",
            measures=headline(dataset.qrels),
            queries_are_documents=queries_are_documents(dataset),
            left_out=summary(left_out),
        )
        return Prepared(dataset, about)


def tables(
    folder: Path, validation: float, test: float, name: str = "NAME", folds: int = 0, fold: int = 1
) -> tuple[Dataset, list[LeftOut]]:
    """The three tables of a folder, and what was left out: queries without a document that has a rank.

    The official folds of files stay (see `official`). Without folds a column split says where a query belongs; without
    that `splits.assign` makes `validation` and `test` by hash of the query_id. A column or folds without "validation"
    keep their test queries, and validation is made out of the others. With `folds` above 0 none of that counts: the
    test queries are the part `fold` of so many, see `splits.assign_fold`.
    Without ranks they are the dense ranks of falling gains; without gains they are round(10^6 / rank). Gains below 0
    become 0. Of a corpus or collection, documents without text and judgements of unknown ids are left out.
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
    left_out: list[LeftOut] = []
    if documents.paths[0].name.startswith(OFFICIAL):
        documents, qrels = _mended(queries, documents, qrels, left_out)
    _check(queries, documents, qrels)
    judged = _judgements(qrels)
    nothing = pl.col("rank").is_null().all().over("query_id")
    why = "judgements of queries without a ranked document"
    judged = leave_out(judged, why, nothing, KEYS["qrels"], left_out)
    without = ~pl.col("query_id").is_in(judged["query_id"].unique().implode())
    kept = leave_out(queries.rows, "queries without a ranked document", without, KEYS["queries"], left_out)
    split = (
        assign_fold(kept["query_id"], folds, fold, validation)
        if folds
        else _splits(queries._replace(rows=_with_folds(kept, qrels)), validation, test)
    )
    kept = kept.with_columns(split)
    check_filled(kept["split"], str(folder), validation, _remedies(queries, qrels, name, folds))
    return Dataset(
        kept.select(SCHEMAS["queries"].names()).sort("query_id"),
        documents.rows.select(SCHEMAS["documents"].names()).sort("doc_id"),
        judged.sort("query_id", "rank", "doc_id", nulls_last=True),
    ), left_out


def _read(folder: Path, table: str) -> File:
    """A table with the columns that it needs; a document's title stands before its text."""
    file = own_files.read(folder, table)
    where = ", ".join(map(str, file.paths))
    if file.rows.is_empty():
        raise UserError(f"{where} is empty", EMPTY[table])
    columns = [name for name in file.rows.columns if name not in ("row", "fold")]
    value = ["gain"] if table == "qrels" and "rank" not in columns else []
    for name in [*KEYS[table], *NEEDED[table], *value]:
        if name not in columns:
            raise UserError(f"{where}: column {name} is missing", f"it has {_shown(columns)}")
    if table == "documents" and "title" in columns:
        both = pl.concat_str("title", "text", separator=" ", ignore_nulls=True).str.strip_chars()
        return file._replace(rows=file.rows.with_columns(text=both))
    return file


def _mended(queries: File, documents: File, qrels: File, left_out: list[LeftOut]) -> tuple[File, File]:
    """A published corpus without its faults: documents without text, and judgements of unknown ids."""
    no_text = pl.col("text").fill_null("").str.strip_chars() == ""
    texts = leave_out(documents.rows, "documents without text", no_text, ["doc_id"], left_out)
    unknown = ~pl.col("doc_id").is_in(texts["doc_id"].implode())
    unknown |= ~pl.col("query_id").is_in(queries.rows["query_id"].implode())
    known = leave_out(qrels.rows, "judgements of unknown queries or documents", unknown, KEYS["qrels"], left_out)
    return documents._replace(rows=texts), qrels._replace(rows=known)


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
        refuse(qrels.rows, key, unknown, f"is not in {file.name}", qrels.place)
    _check_keys(qrels, KEYS["qrels"])


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


def _remedies(queries: File, qrels: File, name: str, folds: int) -> dict[str, str]:
    """What to do when a split has no query, by its name."""
    by_hash = larger_shares(name)
    if folds:
        return dict.fromkeys(SPLITS, "give more queries")
    if "fold" in queries.rows.columns or "fold" in qrels.rows.columns:
        return by_hash | {"test": f"give that fold, or set datasets.{name}.folds=5 for cross-validation"}
    if "split" not in queries.rows.columns:
        return {split: f"{remedy}, or a column split in {queries.name}" for split, remedy in by_hash.items()}
    given = {split: f"write {split} into the column split of some queries with judgements" for split in SPLITS}
    if "validation" in queries.rows["split"]:
        return given
    return given | {"validation": by_hash["validation"]}


def _with_folds(queries: pl.DataFrame, qrels: File) -> pl.DataFrame:
    """The queries with the fold that the file of their judgements has, if these files have folds."""
    if "fold" not in qrels.rows.columns:
        return queries
    other = pl.col("fold") != pl.col("fold").first().over("query_id")
    refuse(qrels.rows, "query_id", other, "has judgements in the file of another fold too", qrels.place)
    of_query = qrels.rows.group_by("query_id").agg(pl.col("fold").first())
    return queries.drop("fold", strict=False).join(of_query, on="query_id", how="left", maintain_order="left")


def official(folds: pl.Series) -> pl.Series | None:
    """The splits of the folds of files. Without test queries those of dev are these, without training queries the same.

    A single fold is no split: None.

    >>> official(pl.Series(["train", "validation"])).to_list()
    ['train', 'test']
    >>> official(pl.Series(["validation", "test"])).to_list()
    ['train', 'test']
    """
    present = {*folds}
    if len(present) == 1:
        return None
    missing = next((name for name in ("test", "train") if name not in present), "validation")
    return folds.replace({"validation": missing})


def _splits(queries: File, validation: float, test: float) -> pl.Series:
    rows = queries.rows
    if "fold" in rows.columns:
        given = official(rows["fold"])
        rows = rows.drop("split", strict=False) if given is None else rows.with_columns(given.alias("split"))
    if "split" not in rows.columns:
        return assign(rows["query_id"], validation, test).alias("split")
    why = f"is not one of {', '.join(SPLITS)}"
    refuse(rows, "split", ~pl.col("split").is_in(SPLITS).fill_null(False), why, queries.place)
    if "validation" in rows["split"]:
        return rows["split"]
    by_hash = assign(rows["query_id"], validation, test=0)
    return rows.select(pl.when(pl.col("split") == "test").then("split").otherwise(by_hash).alias("split")).to_series()


def queries_are_documents(dataset: Dataset) -> bool:
    """Whether queries are documents, as in ArguAna: those that share an id share the text too, and none is judged.

    >>> queries, documents = pl.DataFrame({"query_id": ["1"], "text": ["a"]}), pl.DataFrame({"doc_id": ["1"]})
    >>> qrels = pl.DataFrame({"query_id": ["1"], "doc_id": ["2"]})
    >>> [queries_are_documents(Dataset(queries, documents.with_columns(text=pl.lit(text)), qrels)) for text in "ab"]
    [True, False]
    """
    same = dataset.queries.join(dataset.documents, left_on="query_id", right_on="doc_id", suffix="_of_document")
    judged = (dataset.qrels["query_id"] == dataset.qrels["doc_id"]).any()
    return len(same) > 0 and not judged and bool((same["text"] == same["text_of_document"]).all())
