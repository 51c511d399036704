"""The Shopping Queries dataset (ESCI, Reddy et al. 2022, arXiv 2206.06588) as a ranking data set.

Two parquet files, joined on (product_locale, product_id):

    examples  query, query_id, product_id, product_locale, esci_label, small_version, large_version, split
    products  product_id, product_title, product_description, product_bullet_point, product_brand,
              product_color, product_locale

A label is E (exact), S (substitute), C (complement) or I (irrelevant). Other columns are not read.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import polars as pl

from arrange.data.rows import LeftOut, check_filled, leave_out, ranks_from_gains, refuse
from arrange.data.splits import assign
from arrange.data.tables import SCHEMAS, Dataset
from arrange.errors import UserError

EXAMPLES = "shopping_queries_dataset_examples.parquet"
PRODUCTS = "shopping_queries_dataset_products.parquet"
LABELS = ("E", "S", "C", "I")
GAINS = {"E": 100, "S": 10, "C": 1, "I": 0}
FETCH = "get the file again: it is damaged or incomplete"

Version = Literal["small", "large"]
IDS = ("query_id", "product_id")  # numbers in one file, strings in another
KEY = ["query_id", "doc_id"]


class Prepared(NamedTuple):
    """A data set, and what of its source was left out, reason by reason."""

    dataset: Dataset
    left_out: list[LeftOut]


def tables(
    examples: Path,
    products: Path,
    *,
    locales: Sequence[str] = ("us",),
    version: Version = "small",
    text: Sequence[str] = ("product_title",),
    gains: Mapping[str, int] = GAINS,
    validation: float = 0.05,
) -> Prepared:
    """The judgements of some locales and one version as queries, documents and tiers.

    A document is a product of a locale (`doc_id` is "locale:product_id"), its text the columns `text` of the products
    file, joined by spaces; a product without a title is no document. Gains give the tiers: dense ranks by falling gain
    within the query; 0 is a judged negative. With the default gains E is before S before C, and I is negative.

    The official split is kept: "test" stays, and of the rest `assign` makes `validation` by hash of the query. Left out
    and counted: judgements of other locales and of the other version, training rows of a query that has test rows too,
    repeated and contradicting judgements, products that are missing, untitled or listed again, and queries without a
    document above gain 0. Only the products that are judged, and of them only the needed columns, come into memory.

    Raises UserError, which names file, row and column, for a damaged file, a missing column, an unknown label, split or
    locale, a missing id, and a query_id that stands for two queries.
    """
    found: list[LeftOut] = []
    judged = _judgements(examples, locales, version, found)
    documents = _documents(products, judged, text, found)
    qrels = _qrels(judged, documents, gains, found)
    if qrels.is_empty():
        raise UserError(f"{examples}: no judgement is left", "; ".join(f"{out.why}: {out.rows}" for out in found))
    queries = judged.select("query_id", "query", "split").unique("query_id").join(qrels, on="query_id", how="semi")
    by_hash = assign(queries["query_id"], validation, test=0)
    split = pl.when(pl.col("split") == "test").then(pl.lit("test")).otherwise(by_hash)
    queries = queries.select("query_id", text="query", split=split).sort("query_id")
    check_filled(queries["split"], str(examples), validation)
    named = documents.join(qrels, on="doc_id", how="semi").sort("doc_id")
    return Prepared(Dataset(queries, named, qrels.sort("query_id", "rank", "doc_id", nulls_last=True)), found)


def groups(dataset: Dataset) -> pl.DataFrame:
    """The queries by locale and by their number of words: groups of `tables.write`."""
    locale = pl.col("doc_id").str.split(":").list.first().first().alias("group")
    locales = dataset.qrels.group_by("query_id").agg(locale, grouping=pl.lit("locale").first())
    words = pl.col("text").str.split(" ").list.len()
    length = pl.when(words <= 2).then(pl.lit("1-2")).when(words <= 4).then(pl.lit("3-4")).otherwise(pl.lit("5 or more"))
    lengths = dataset.queries.select("query_id", group=length, grouping=pl.lit("words"))
    return pl.concat([table.select("query_id", "grouping", "group") for table in (locales, lengths)])


def scan(path: Path, columns: Sequence[str]) -> pl.LazyFrame:
    """The columns of a parquet file as strings, and `row`, their place in it. Nothing but its footer is read yet.

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


def _judgements(path: Path, locales: Sequence[str], version: Version, found: list[LeftOut]) -> pl.DataFrame:
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
    rows = leave_out(rows, "judgements of other locales", ~pl.col("product_locale").is_in(locales), KEY, found)
    rows = leave_out(rows, f"judgements that are not of the {version} version", pl.col(flag) != "1", KEY, found)
    untold = pl.col("query").fill_null("") == ""
    rows = leave_out(rows, "judgements of queries without a text", untold, KEY, found)
    _check_queries(rows, path)
    in_test = (pl.col("split") == "test").any().over("query_id")
    both = (pl.col("split") == "train") & in_test
    rows = leave_out(rows, "training judgements of queries in both splits", both, KEY, found)
    contradicting = pl.col("esci_label").n_unique().over(KEY) > 1
    rows = leave_out(rows, "judgements that contradict each other", contradicting, KEY, found)
    repeated = ~pl.struct(KEY).is_first_distinct()
    return leave_out(rows, "judgements that are there again", repeated, KEY, found)


def _check_values(rows: pl.DataFrame, path: Path, flag: str) -> None:
    """Refuse what no reading of the file can mend."""
    values = {"esci_label": LABELS, "split": ("train", "test"), flag: ("0", "1")}
    for name in (*IDS, "product_locale", *values):
        refuse(rows, name, pl.col(name).is_null(), "is no value", lambda row: f"{path}, row {row}")
    for name, known in values.items():
        unknown = ~pl.col(name).is_in(known)
        refuse(rows, name, unknown, f"is not one of {', '.join(known)}", lambda row: f"{path}, row {row}")


def _check_queries(rows: pl.DataFrame, path: Path) -> None:
    """A query_id is one text in one locale."""
    for name in ("query", "product_locale"):
        other = pl.col(name) != pl.col(name).first().over("query_id")
        why = "is another one than in an earlier row of its query_id"
        remedy = "give every query of every locale an id of its own"
        refuse(rows, name, other, why, lambda row: f"{path}, row {row}", remedy)


def _documents(path: Path, judged: pl.DataFrame, text: Sequence[str], found: list[LeftOut]) -> pl.DataFrame:
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
    return leave_out(rows, "products that are listed again", again, ["doc_id"], found).drop("row")


def _qrels(
    judged: pl.DataFrame, documents: pl.DataFrame, gains: Mapping[str, int], found: list[LeftOut]
) -> pl.DataFrame:
    gain = pl.col("esci_label").replace_strict(gains, return_dtype=pl.Int32)
    known, untitled = documents["doc_id"], documents.filter(pl.col("text").is_null())["doc_id"]
    rows = judged.select(*KEY, gain=gain)
    missing = ~pl.col("doc_id").is_in(known.implode())
    rows = leave_out(rows, "judgements of products that the products file lacks", missing, KEY, found)
    no_title = pl.col("doc_id").is_in(untitled.implode())
    rows = leave_out(rows, "judgements of products without a title", no_title, KEY, found)
    rows = rows.with_columns(ranks_from_gains())
    nothing = pl.col("rank").is_null().all().over("query_id")
    rows = leave_out(rows, "judgements of queries without a document of gain above 0", nothing, KEY, found)
    return rows.select(SCHEMAS["qrels"].names())
