"""WordNet 3.0 nouns as a ranking data set: a synset is the query, its hypernyms are the documents.

Format: https://wordnet.princeton.edu/documentation/wndb5wn. A line of data.noun is

    offset lex_file n w_cnt {word lex_id} p_cnt {symbol offset pos source/target} | gloss

with w_cnt and lex_id in hexadecimal and `offset` the line's own place in the file, in bytes. A line of
index.noun gives a lower-case lemma and, last, the offsets of its synsets in the order of its senses.
"""

import difflib
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Literal, NamedTuple

import polars as pl

from arrange.data.splits import assign
from arrange.data.tables import SCHEMAS, Dataset
from arrange.errors import UserError

HYPERNYMS = ("@", "@i")  # of a class and of an instance
GAIN = 10**6  # of rank 1: gains are 1 / rank as integers, which is what ir_measures takes
FETCH = "put the two noun files of one WordNet 3.0 release there, unchanged"

Text = Literal["lemmas", "lemmas_gloss", "lemma"]
Split = Literal["parent", "query"]


class Synset(NamedTuple):
    """A noun synset: its lemmas as spelt (spaces for underscores), gloss and direct hypernyms' ids."""

    lemmas: tuple[str, ...]
    gloss: str
    hypernyms: tuple[str, ...]


class Record(NamedTuple):
    """A line of data.noun: as a synset, but hypernyms are offsets."""

    lemmas: tuple[str, ...]
    gloss: str
    hypernyms: tuple[int, ...]


def read(folder: Path) -> dict[str, Synset]:
    """All noun synsets of `folder`/data.noun and index.noun by id, in the order of the file.

    Ids are NLTK's: first lemma in lower case, "n", number of its sense (`dog.n.01`). Raises UserError,
    which names file and line, when a file is missing, cut short, or does not fit the other.
    """
    records = dict(_records(folder / "data.noun"))
    ids = _ids(records, folder / "index.noun")
    return {
        ids[offset]: Synset(record.lemmas, record.gloss, tuple(ids[above] for above in record.hypernyms))
        for offset, record in records.items()
    }


def ancestors(synsets: Mapping[str, Synset]) -> dict[str, dict[str, int]]:
    """Every synset's hypernyms up to the root with the shortest distance to each, nearest first.

    At the same distance the one with the longer way to the root comes first, hence a descendant before
    its ancestor; then ids decide. Raises UserError when the hypernyms form a cycle.
    """
    try:
        downwards = list(TopologicalSorter({id_: s.hypernyms for id_, s in synsets.items()}).static_order())
    except CycleError as error:
        raise UserError(f"data.noun: hypernyms form a cycle: {' -> '.join(error.args[1])}", FETCH) from None
    depth: dict[str, int] = {}  # the longest way to a root: a descendant's is above its ancestor's
    above: dict[str, dict[str, int]] = {}
    for id_ in downwards:
        parents = synsets[id_].hypernyms
        depth[id_] = 1 + max((depth[parent] for parent in parents), default=-1)
        distances = dict.fromkeys(parents, 1)
        for parent in parents:
            for ancestor, distance in above[parent].items():
                distances[ancestor] = min(distances.get(ancestor, distance + 1), distance + 1)
        above[id_] = dict(sorted(distances.items(), key=lambda item: (item[1], -depth[item[0]], item[0])))
    return above


def tables(folder: Path, root: str, text: Text, split: Split, validation: float, test: float) -> Dataset:
    """The subtree of `root` as queries, and all their hypernyms up to the top as ranked documents.

    A query is a synset at or below `root` that has a hypernym; its text is "lemmas" (all of them),
    "lemmas_gloss" ("lemma, lemma: gloss") or "lemma" (the first alone, as in arXiv 2601.05588). A
    document's text is its first lemma. The rank is the dense rank of the shortest distance, so equal
    distances are ties; the gain is round(10^6 / rank).

    Splits by hash (see `splits.assign`): "query" hashes the query's id, "parent" the id of the nearest
    hypernym, the smallest id among several, so that no test query's list is a training query's list.
    Raises UserError for an unknown root, a root with too few synsets to fill the splits, bad files.
    """
    synsets = read(folder)
    if root not in synsets:
        nearest = difflib.get_close_matches(root, synsets, n=3) or ["animal.n.01", "entity.n.01"]
        raise UserError(f"{root!r} is not a noun synset", f"perhaps {' or '.join(nearest)}?")
    above = ancestors(synsets)
    lists = {id_: list_ for id_, list_ in above.items() if list_ and (id_ == root or root in list_)}
    qrels = _qrels(lists)
    queries = pl.DataFrame({"query_id": list(lists), "text": [_text(synsets[id_], text) for id_ in lists]})
    queries = queries.with_columns(_splits(queries, qrels, split, validation, test))
    _check_splits(queries["split"], root, validation, test)
    documents = qrels.select(pl.col("doc_id").unique().sort()).with_columns(
        text=pl.col("doc_id").replace_strict({id_: synset.lemmas[0] for id_, synset in synsets.items()})
    )
    return Dataset(queries.sort("query_id"), documents, qrels)


def _text(synset: Synset, form: Text) -> str:
    lemmas = ", ".join(synset.lemmas)
    return {"lemma": synset.lemmas[0], "lemmas": lemmas, "lemmas_gloss": f"{lemmas}: {synset.gloss}"}[form]


def _qrels(lists: Mapping[str, Mapping[str, int]]) -> pl.DataFrame:
    rows = ((query, document, distance) for query, list_ in lists.items() for document, distance in list_.items())
    rank = pl.col("distance").rank("dense").over("query_id")
    return (
        pl.DataFrame(rows, schema=["query_id", "doc_id", "distance"], orient="row")
        .with_columns(rank=rank.cast(pl.Int32), gain=(GAIN / rank).round().cast(pl.Int32))
        .select(SCHEMAS["qrels"].names())
        .sort("query_id", "rank", "doc_id")
    )


def _splits(queries: pl.DataFrame, qrels: pl.DataFrame, split: Split, validation: float, test: float) -> pl.Series:
    if split == "query":
        return assign(queries["query_id"], validation, test)
    nearest = qrels.filter(pl.col("rank") == 1).group_by("query_id").agg(pl.col("doc_id").min())
    return assign(queries.join(nearest, on="query_id", maintain_order="left")["doc_id"], validation, test)


def _check_splits(splits: pl.Series, root: str, validation: float, test: float) -> None:
    """Refuse a subtree so small that the hash leaves one of the splits without a query."""
    wanted = {"train": 1.0, "validation": validation, "test": test}
    if empty := [name for name, share in wanted.items() if share > 0 and name not in splits]:
        raise UserError(
            f"{root} has {len(splits)} queries, none of them in the {empty[0]} split",
            "choose a root further up (entity.n.01 is the top) or larger shares",
        )


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
    words = int(fields[3], 16)
    pointers = fields[5 + 2 * words :]
    if fields[2] != "n" or not words or len(pointers) != 4 * int(fields[4 + 2 * words]):
        raise ValueError("its fields do not add up")
    lemmas = tuple(word.replace("_", " ") for word in fields[4 : 4 + 2 * words : 2])
    hypernyms = zip(pointers[0::4], pointers[1::4], strict=True)
    return Record(lemmas, gloss.strip(), tuple(int(target) for symbol, target in hypernyms if symbol in HYPERNYMS))


def _ids(records: Mapping[int, Record], path: Path) -> dict[int, str]:
    """The id of every synset: index.noun numbers the senses. Each lemma must be there, and no other."""
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
