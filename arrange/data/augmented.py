"""The table of augmented examples: texts that should lead to a document as a query does, made from the documents.

    text str, doc_id str, origin str, weight f64

`origin` says what made the text. An example is drawn as often as its weight says; the weights of a document that no
training list has sum to 1.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import polars as pl

from arrange.errors import UserError
from arrange.files import replacing

Origin = Literal["document", "titles", "spans", "keywords", "generated"]
SCHEMA = pl.Schema({"text": pl.String, "doc_id": pl.String, "origin": pl.String, "weight": pl.Float64})
REMEDY = "`dvc repro` the stage augment"


def write(examples: pl.DataFrame, path: Path) -> None:
    """Write a table, sorted by document, origin and text."""
    with replacing(path) as part:
        examples.select(SCHEMA.names()).sort("doc_id", "origin", "text").write_parquet(part)


def read(path: Path, doc_ids: pl.Series, origins: Sequence[Origin]) -> pl.DataFrame:
    """The examples of these origins in a table of the documents `doc_ids`.

    Raises UserError where it is missing, damaged, of another schema or of other documents, and where it has none.
    """
    try:
        examples = pl.read_parquet(path, glob=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise UserError(f"{path} can't be read: {str(error).splitlines()[0]}", REMEDY) from None
    if examples.schema != SCHEMA:
        raise UserError(f"{path} has the columns {', '.join(examples.columns)}, not {', '.join(SCHEMA)}", REMEDY)
    if unknown := set(examples["doc_id"]) - set(doc_ids):
        raise UserError(f"{path} has the document {min(unknown)!r}, which the data set lacks", REMEDY)
    wanted = examples.filter(pl.col("origin").is_in(origins))
    if wanted.is_empty():
        made = ", ".join(sorted(set(examples["origin"]))) or "none"
        raise UserError(f"{path} has no example of {', '.join(origins)}; it has: {made}", "make some: section augment")
    return wanted
