"""The Shopping Queries dataset (ESCI, Reddy et al. 2022, arXiv 2206.06588) as a ranking data set.

Two parquet files, joined on (product_locale, product_id):

    examples  query, query_id, product_id, product_locale, esci_label, small_version, large_version, split
    products  product_id, product_title, product_description, product_bullet_point, product_brand,
              product_color, product_locale

A label is E (exact), S (substitute), C (complement) or I (irrelevant). Other columns are not read.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import polars as pl
from annotated_types import MinLen

from arrange.bounds import CountOr0, ShareAbove0
from arrange.data import teacher
from arrange.data.esci_files import EXAMPLES, LABELS, ORIGIN, OWN, PRODUCTS
from arrange.data.rows import LeftOut, check_filled, larger_shares, leave_out, ranks_from_gains, refuse, summary
from arrange.data.splits import assign
from arrange.data.tables import LISTS, SCHEMAS, TIERS, About, Dataset, Prepared
from arrange.errors import UserError
from arrange.files import read_text

GAINS = {"E": 100, "S": 10, "C": 1, "I": 0}
FETCH = "get the file again: it is damaged or incomplete"

Version = Literal["small", "large"]
IDS = ("query_id", "product_id")  # numbers in one file, strings in another
KEY = ["query_id", "doc_id"]


@dataclass(frozen=True, kw_only=True)
class Esci:
    """Settings of a data set of ESCI's files; what most of them mean: see `tables`.

    raw: the folder with the two files, and perhaps origin.json.
    truth: "labels", or "teacher": ranks by `teacher` in place of the labels.
    """

    source: Literal["esci"] = "esci"
    raw: str
    locales: Annotated[tuple[str, ...], MinLen(1)]
    version: Version
    text: Annotated[tuple[str, ...], MinLen(1)]
    gains: dict[Literal["E", "S", "C", "I"], CountOr0]
    validation: ShareAbove0
    truth: Literal["labels", "teacher"]
    teacher: teacher.Teacher

    def __post_init__(self) -> None:
        if missing := [label for label in LABELS if label not in self.gains]:
            raise ValueError(f"gains lacks {missing[0]}; give a gain to each of {', '.join(LABELS)}")

    def prepare(self, name: str) -> Prepared:
        """The tables, by labels or by the teacher; queries are grouped by locale and by length."""
        raw = Path(self.raw)
        dataset, left_out = tables(
            raw / EXAMPLES,
            raw / PRODUCTS,
            locales=self.locales,
            version=self.version,
            text=self.text,
            gains={str(label): gain for label, gain in self.gains.items()},
            validation=self.validation,
            name=name,
        )
        origin = _origin(raw / ORIGIN)
        labels, measures = label_names(self.gains), TIERS
        if self.truth == "teacher":
            vectorise = self.teacher.vectoriser.fit(teacher.texts(dataset))
            dataset, more = teacher.relabel(dataset, vectorise, self.teacher.length, self.teacher.deepest)
            left_out += more
            origin += f", ranks by the teacher {self.teacher.vectoriser.name}"
            labels, measures = {}, LISTS
        title = f"{origin[0].upper()}{origin[1:]}."
        about = About(title, source=origin, measures=measures, labels=labels, left_out=summary(left_out))
        return Prepared(dataset, about, groups(dataset))


def _origin(path: Path) -> str:
    """What to call numbers from the files beside `path`."""
    if not path.exists():
        return OWN
    try:
        return str(json.loads(read_text(path))["name"])
    except (ValueError, TypeError, KeyError):
        remedy = 'write {"name": "what to call numbers from these files"}, or remove it'
        raise UserError(f"{path} has no name in JSON", remedy) from None


def label_names(gains: Mapping[Literal["E", "S", "C", "I"], int]) -> dict[int, str]:
    """The name of each gain, best first; labels of equal gain are one tier.

    >>> label_names({"E": 100, "S": 1, "C": 1, "I": 0})
    {100: 'exact', 1: 'substitute or complement', 0: 'irrelevant'}
    """
    names: dict[int, list[str]] = {}
    for label, gain in sorted(gains.items(), key=lambda item: (-item[1], list(LABELS).index(item[0]))):
        names.setdefault(gain, []).append(LABELS[label])
    return {gain: " or ".join(equal) for gain, equal in names.items()}


def tables(
    examples: Path,
    products: Path,
    *,
    locales: Sequence[str] = ("us",),
    version: Version = "small",
    text: Sequence[str] = ("product_title",),
    gains: Mapping[str, int] = GAINS,
    validation: float = 0.05,
    name: str = "NAME",
) -> tuple[Dataset, list[LeftOut]]:
    """The judgements of some locales and one version as queries, documents and tiers, and what was left out.

    A document is a product of a locale (`doc_id` is "locale:product_id"), its text the columns `text` of the products
    file, joined by spaces; a product without a title is no document. Gains give the tiers: dense ranks by falling gain
    within the query; 0 is a judged negative. With the default gains E is before S before C, and I is negative.

    The official split is kept: "test" stays, and of the rest `assign` makes `validation` by hash of the query. Left out
    and counted: judgements of other locales and of the other version, training rows of a query that has test rows too,
    repeated and contradicting judgements, products that are missing, untitled or listed again, and queries without a
    document above gain 0. Memory holds only the judged products, and of them only the needed columns.

    name: of the data set's entry in params.yaml, for messages.
    Raises UserError, which names file, row and column, for a damaged file, a missing column, an unknown label, split or
    locale, a missing id, and a query_id that stands for two queries.
    """
    left_out: list[LeftOut] = []
    judged = _judgements(examples, locales, version, left_out)
    documents = _documents(products, judged, text, left_out)
    qrels = _qrels(judged, documents, gains, left_out)
    if qrels.is_empty():
        raise UserError(f"{examples}: no judgement is left", "; ".join(f"{out.why}: {out.rows}" for out in left_out))
    queries = judged.select("query_id", "query", "split").unique("query_id").join(qrels, on="query_id", how="semi")
    by_hash = assign(queries["query_id"], validation, test=0)
    split = pl.when(pl.col("split") == "test").then(pl.lit("test")).otherwise(by_hash)
    queries = queries.select("query_id", text="query", split=split).sort("query_id")
    official = {"test": "take another locale or version: the file itself says which queries are in the test split"}
    check_filled(queries["split"], str(examples), validation, larger_shares(name) | official)
    judged_documents = documents.join(qrels, on="doc_id", how="semi").sort("doc_id")
    return Dataset(queries, judged_documents, qrels.sort("query_id", "rank", "doc_id", nulls_last=True)), left_out


def groups(dataset: Dataset) -> pl.DataFrame:
    """The queries by locale and by their number of words: groups of `tables.write`."""
    locale = pl.col("doc_id").str.split(":").list.first().first().alias("group")
    locales = dataset.qrels.group_by("query_id").agg(locale).with_columns(grouping=pl.lit("locale"))
    words = pl.col("text").str.split(" ").list.len()
    length = pl.when(words <= 2).then(pl.lit("1-2")).when(words <= 4).then(pl.lit("3-4")).otherwise(pl.lit("5 or more"))
    lengths = dataset.queries.select("query_id", group=length, grouping=pl.lit("words"))
    return pl.concat([table.select("query_id", "grouping", "group") for table in (locales, lengths)])


def scan(path: Path, columns: Sequence[str]) -> pl.LazyFrame:
    """The columns of a parquet file as strings, and `row`, their place in it. Only the file's footer is read here.

    Raises UserError for a file that is missing or damaged, and for the first column that it lacks.
    """
    try:
        lazy = pl.scan_parquet(path, glob=False, row_index_name="row")
        schema = lazy.collect_schema()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise _unreadable(path, error) from None
    if missing := [name for name in columns if name not in schema]:
        has = ", ".join(name for name in schema.names() if name != "row")
        raise UserError(f"{path}: column {', '.join(missing)} is missing", f"it has {has}")
    for name in columns:
        kind = schema[name]
        if not (
            kind in (pl.String, pl.Categorical, pl.Enum) or (name.endswith(("_id", "_version")) and kind.is_integer())
        ):
            raise UserError(f"{path}: column {name} is {kind}, not String", "write it as text")
    return lazy.select("row", pl.col(columns).cast(pl.String))


def collect(lazy: pl.LazyFrame, path: Path) -> pl.DataFrame:
    """The rows of a file, streamed. Raises UserError when they can't be read."""
    try:
        return lazy.collect(engine="streaming")
    except (OSError, pl.exceptions.PolarsError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> UserError:
    if isinstance(error, FileNotFoundError):
        return UserError(f"{path} is missing", "give the folder that has it")
    return UserError(f"{path} can't be read: {str(error).splitlines()[0]}", FETCH)


def _judgements(path: Path, locales: Sequence[str], version: Version, left_out: list[LeftOut]) -> pl.DataFrame:
    """One row per judged pair: query_id, doc_id, query, split, label."""
    flag = f"{version}_version"
    names = ["query_id", "query", "product_id", "product_locale", "esci_label", "split", flag]
    rows = collect(scan(path, names), path).sort("row")
    _check_values(rows, path, flag)
    if unknown := sorted(set(locales) - set(rows["product_locale"].unique())):
        has = ", ".join(sorted(rows["product_locale"].unique()))
        raise UserError(f"{path}: no judgement has the locale {unknown[0]!r}", f"it has {has}")
    rows = rows.with_columns(
        pl.col("query").str.replace_all(r"\s+", " ").str.strip_chars(),
        doc_id=pl.concat_str("product_locale", pl.lit(":"), "product_id"),
    )
    rows = leave_out(rows, "judgements of other locales", ~pl.col("product_locale").is_in(locales), KEY, left_out)
    rows = leave_out(rows, f"judgements that are not of the {version} version", pl.col(flag) != "1", KEY, left_out)
    empty = pl.col("query").fill_null("") == ""
    rows = leave_out(rows, "judgements of queries without a text", empty, KEY, left_out)
    _check_queries(rows, path)
    in_test = (pl.col("split") == "test").any().over("query_id")
    both = (pl.col("split") == "train") & in_test
    rows = leave_out(rows, "training judgements of queries in both splits", both, KEY, left_out)
    contradicting = pl.col("esci_label").n_unique().over(KEY) > 1
    rows = leave_out(rows, "judgements that contradict each other", contradicting, KEY, left_out)
    repeated = ~pl.struct(KEY).is_first_distinct()
    return leave_out(rows, "judgements that are there again", repeated, KEY, left_out)


def _check_values(rows: pl.DataFrame, path: Path, flag: str) -> None:
    """Refuse missing and unknown values."""
    values = {"esci_label": tuple(LABELS), "split": ("train", "test"), flag: ("0", "1")}
    for name in (*IDS, "product_locale", *values):
        refuse(rows, name, pl.col(name).is_null(), "is no value", lambda row: f"{path}, row {row}")
    for name, valid in values.items():
        unknown = ~pl.col(name).is_in(valid)
        refuse(rows, name, unknown, f"is not one of {', '.join(valid)}", lambda row: f"{path}, row {row}")


def _check_queries(rows: pl.DataFrame, path: Path) -> None:
    """A query_id is one text in one locale."""
    for name in ("query", "product_locale"):
        other = pl.col(name) != pl.col(name).first().over("query_id")
        why = "is another one than in an earlier row of its query_id"
        remedy = "give every query of every locale an id of its own"
        refuse(rows, name, other, why, lambda row: f"{path}, row {row}", remedy)


def _documents(path: Path, judged: pl.DataFrame, text: Sequence[str], left_out: list[LeftOut]) -> pl.DataFrame:
    """doc_id and text of the judged products, text null where there is no title."""
    columns = dict.fromkeys(["product_locale", "product_id", "product_title", *text])
    wanted = judged.select("product_locale", "product_id").unique().lazy()
    lazy = scan(path, list(columns)).join(wanted, on=["product_locale", "product_id"], how="semi")
    clean = pl.col(list(columns)[2:]).str.replace_all(r"\s+", " ").str.strip_chars()
    rows = collect(lazy, path).with_columns(clean.replace("", None))
    rows = rows.select(
        "row",
        doc_id=pl.concat_str("product_locale", pl.lit(":"), "product_id"),
        text=pl.when(pl.col("product_title").is_not_null()).then(pl.concat_str(text, separator=" ", ignore_nulls=True)),
    ).sort("doc_id", "text", "row", nulls_last=True)  # of several rows one with a title, whatever their order
    again = ~pl.col("doc_id").is_first_distinct()
    return leave_out(rows, "products that are listed again", again, ["doc_id"], left_out).drop("row")


def _qrels(
    judged: pl.DataFrame, documents: pl.DataFrame, gains: Mapping[str, int], left_out: list[LeftOut]
) -> pl.DataFrame:
    gain = pl.col("esci_label").replace_strict(gains, return_dtype=pl.Int32)
    listed, untitled = documents["doc_id"], documents.filter(pl.col("text").is_null())["doc_id"]
    rows = judged.select(*KEY, gain=gain)
    missing = ~pl.col("doc_id").is_in(listed.implode())
    rows = leave_out(rows, "judgements of products that the products file lacks", missing, KEY, left_out)
    no_title = pl.col("doc_id").is_in(untitled.implode())
    rows = leave_out(rows, "judgements of products without a title", no_title, KEY, left_out)
    rows = rows.with_columns(ranks_from_gains())
    nothing = pl.col("rank").is_null().all().over("query_id")
    rows = leave_out(rows, "judgements of queries without a document of gain above 0", nothing, KEY, left_out)
    return rows.select(SCHEMAS["qrels"].names())
