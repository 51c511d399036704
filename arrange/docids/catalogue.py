"""A catalogue: the docIDs of a data set on disk, and all that ranking needs of them.

docids.parquet      doc_id, docid (as text), tokens (list of i32, the end token last): a row per document
tokenizer/          the tokenizer that the tokens are of
trie.safetensors    the trie of all docIDs; a document's index in it is its row
assignment/         what a scheme assigned (`arrange.docids.schemes`): only needed to add documents
statistics.json     the trie's shape, how many docIDs collided, and, of codes, how each level's are used
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import polars as pl

from arrange.base_models.prepare import shape_of
from arrange.docids import codes, tokens, trie
from arrange.docids.schemes import Assignment
from arrange.errors import UserError
from arrange.files import replacing

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

REMEDY = "make the folder again"


@dataclass(frozen=True, eq=False)
class Catalogue:
    """A catalogue in memory: `docids` has doc_id, docid and tokens, a row per document. Made by `open_catalogue`."""

    docids: pl.DataFrame
    tokenizer: "PreTrainedTokenizerFast"
    trie: trie.Trie


def open_catalogue(folder: Path, table: str = "docids.parquet") -> Catalogue:
    """Read a catalogue's docIDs, its tokenizer and its trie, whose checksum is verified.

    table: the file that has the docIDs; an exported ranker has them in documents.parquet, among other columns.
    Raises UserError where a part is missing or damaged, or the table and the trie differ in their documents.
    """
    legal = trie.load(folder / "trie.safetensors")
    legal.verify()
    docids = _read(folder / table)
    if docids.height != len(legal.document_D):
        what = f"{folder} is damaged: {docids.height} documents, {len(legal.document_D)} docIDs in the trie"
        raise UserError(what, REMEDY)
    return Catalogue(docids, read_tokenizer(folder / "tokenizer"), legal)


def read_tokenizer(folder: Path) -> "PreTrainedTokenizerFast":
    """A tokenizer that was saved in a local folder. Raises UserError where there is none."""
    from transformers import PreTrainedTokenizerFast  # here: transformers takes seconds to import

    from arrange.models import pretrained

    return pretrained.load("tokenizer", str(folder), PreTrainedTokenizerFast.from_pretrained, local_files_only=True)


def _read(path: Path) -> pl.DataFrame:
    try:
        docids = pl.read_parquet(path, glob=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise UserError(f"{path} is damaged: {str(error).partition(chr(10))[0]}", REMEDY) from None
    if missing := {"doc_id", "docid", "tokens"} - {*docids.columns}:
        raise UserError(f"{path} is damaged: column {min(missing)} is missing", REMEDY)
    return docids


def tokenizer_for(
    assignment: Assignment, queries: Iterable[str], base: Path, vocabulary_size: int
) -> "PreTrainedTokenizerFast":
    """The tokenizer of a base model; where that has random weights, one of `vocabulary_size` tokens is trained.

    It is trained on the queries and on the docIDs, or on the documents' texts where docIDs are codes.
    """
    if shape_of(base) is None:
        return tokens.load_tokenizer(str(base))
    spelt = assignment.texts if assignment.codes else [docid for (docid,) in assignment.docids]
    return tokens.train_tokenizer([*queries, *spelt], vocabulary_size)


def write(
    folder: Path,
    doc_ids: pl.Series,
    assignment: Assignment,
    tokenizer: "PreTrainedTokenizerFast",
    notes: Mapping[str, float] = MappingProxyType({}),
) -> None:
    """Write a catalogue's files into `folder`, each whole or not at all. The tokenizer gets the docIDs' codes first.

    doc_ids: the id of each row of the assignment. notes: more numbers for statistics.json.
    Raises UserError for docIDs that the tokenizer can't tell apart.
    """
    docid_tokens = tokens.encode_docids(tokenizer, assignment.docids, assignment.codes)
    built = trie.build(docid_tokens)
    docids = pl.DataFrame(
        {
            "doc_id": doc_ids,
            "docid": [" ".join(docid) for docid in assignment.docids],
            "tokens": docid_tokens,
        },
        schema_overrides={"tokens": pl.List(pl.Int32)},
    )
    with replacing(folder / "docids.parquet") as part:
        docids.write_parquet(part)
    assignment.save(folder / "assignment")
    with replacing(folder / "tokenizer") as part:
        tokenizer.save_pretrained(part)
    built.save(folder / "trie.safetensors")
    statistics = built.describe() | {"collisions": assignment.collisions} | codes.by_level(assignment.docids)
    if "error_L" in assignment.arrays:
        statistics["reconstruction_error_by_level"] = assignment.arrays["error_L"].round(4).tolist()
    with replacing(folder / "statistics.json") as part:
        part.write_text(json.dumps(statistics | dict(notes), indent=1))
