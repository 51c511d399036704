"""The noun files of WordNet 3.0, and their synsets as one table.

Format: https://wordnet.princeton.edu/documentation/wndb5wn. A line of data.noun is

    offset lex_file n w_cnt {word lex_id} p_cnt {symbol offset pos source/target} | gloss

with w_cnt and lex_id in hexadecimal and `offset` the line's own place in the file, in bytes. A line of
index.noun gives a lower-case lemma and, last, the offsets of its synsets in the order of its senses.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import polars as pl

from arrange.errors import UserError
from arrange.files import replacing

HYPERNYMS = ("@", "@i")  # of a class and of an instance
FETCH = "put the two noun files of one WordNet 3.0 release there, unchanged"
SCHEMA = pl.Schema(
    {
        "id": pl.String(),
        "lemmas": pl.List(pl.String),
        "gloss": pl.String(),
        "hypernyms": pl.List(pl.String),
        "instance": pl.Boolean(),
    }
)


class Synset(NamedTuple):
    """A noun synset: its lemmas as spelt (spaces for underscores), gloss and direct hypernyms' ids.

    instance: it is one thing ("Lassie"), not a class ("collie"): it has a pointer `@i` to a hypernym.
    """

    lemmas: tuple[str, ...]
    gloss: str
    hypernyms: tuple[str, ...]
    instance: bool = False


class Record(NamedTuple):
    """A line of data.noun: as a synset, but hypernyms are offsets."""

    lemmas: tuple[str, ...]
    gloss: str
    hypernyms: tuple[int, ...]
    instance: bool


def read(folder: Path) -> dict[str, Synset]:
    """All noun synsets of `folder`/data.noun and index.noun by id, in the order of the file.

    Ids are NLTK's: first lemma in lower case, "n", number of its sense (`dog.n.01`). Raises UserError,
    which names file and line, when a file is missing, cut short, or does not fit the other.
    """
    records = dict(_records(folder / "data.noun"))
    ids = _ids(records, folder / "index.noun")
    return {
        ids[offset]: Synset(
            record.lemmas, record.gloss, tuple(ids[above] for above in record.hypernyms), record.instance
        )
        for offset, record in records.items()
    }


def save(synsets: Mapping[str, Synset], path: Path) -> None:
    """Write synsets as a table of id, lemmas, gloss, hypernyms, instance.

    The files of the releases differ in bytes that this table doesn't depend on.
    """
    with replacing(path) as part:
        pl.DataFrame([(id_, *synset) for id_, synset in synsets.items()], SCHEMA, orient="row").write_parquet(part)


def load(path: Path) -> dict[str, Synset]:
    """The synsets that `save` has written."""
    rows = pl.read_parquet(path).iter_rows()
    return {
        id_: Synset(tuple(lemmas), gloss, tuple(hypernyms), instance)
        for id_, lemmas, gloss, hypernyms, instance in rows
    }


def _records(path: Path) -> Iterator[tuple[int, Record]]:
    """Offset and record of every line of data.noun."""
    offset = 0
    for number, line in enumerate(_lines(path), start=1):
        if not line.startswith(b"  "):  # the licence at the top is indented
            try:
                yield offset, _record(line, offset)
            except (ValueError, IndexError) as error:
                raise UserError(f"{path}, line {number}: not a noun synset: {error}", FETCH) from None
        offset += len(line)


def _record(line: bytes, offset: int) -> Record:
    head, _, gloss = line.decode().partition(" | ")
    fields = head.split()
    if int(fields[0]) != offset:
        raise ValueError(f"it starts at byte {offset}, not {fields[0]}")
    count = int(fields[3], 16)
    pointers = fields[5 + 2 * count :]
    if fields[2] != "n" or not count or len(pointers) != 4 * int(fields[4 + 2 * count]):
        raise ValueError("its fields do not add up")
    lemmas = tuple(word.replace("_", " ") for word in fields[4 : 4 + 2 * count : 2])
    pairs = zip(pointers[0::4], pointers[1::4], strict=True)
    hypernyms = {int(target): symbol for symbol, target in pairs if symbol in HYPERNYMS}
    return Record(lemmas, gloss.strip(), tuple(hypernyms), "@i" in hypernyms.values())


def _ids(records: Mapping[int, Record], path: Path) -> dict[int, str]:
    """The id of every synset: index.noun numbers the senses. The two files must have the same lemmas and synsets."""
    senses = _senses(path)
    data = path.with_name("data.noun")
    ids = {}
    for offset, record in records.items():
        lemmas = [lemma.replace(" ", "_").lower() for lemma in record.lemmas]
        for lemma in lemmas:
            if (lemma, offset) not in senses:
                raise UserError(f"{path}: {lemma} has no sense at offset {offset:08d} of {data.name}", FETCH)
        for above in record.hypernyms:
            if above not in records:
                raise UserError(f"{data}: no synset at {above:08d}, the hypernym of {offset:08d}", FETCH)
        ids[offset] = f"{lemmas[0]}.n.{senses[lemmas[0], offset]:02d}"
    for lemma, offset in senses:
        if offset not in records:
            raise UserError(f"{data}: no synset at {offset:08d}, a sense of {lemma}", FETCH)
    return ids


def _senses(path: Path) -> dict[tuple[str, int], int]:
    senses = {}
    for number, line in enumerate(_lines(path), start=1):
        if line.startswith(b"  "):
            continue
        try:
            lemma, _, count, *rest = line.decode().split()
            offsets = [int(field) for field in rest[-int(count) :]]
            if len(rest) != int(rest[0]) + 3 + len(offsets) or not offsets:
                raise ValueError("its fields do not add up")
        except (ValueError, IndexError) as error:
            raise UserError(f"{path}, line {number}: not an index line: {error}", FETCH) from None
        senses.update({(lemma, offset): sense for sense, offset in enumerate(offsets, start=1)})
    return senses


def _lines(path: Path) -> list[bytes]:
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}", FETCH) from None
    if not lines or not lines[-1].endswith(b"\n"):
        raise UserError(f"{path}, line {len(lines)}: the file is cut short", FETCH)
    return lines
