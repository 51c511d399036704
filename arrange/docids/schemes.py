"""Catalogues: a docID for every document by the name of a scheme, also for documents that come later.

| scheme | a docID | made of |
|---|---|---|
| text | the title's first words, the fewest that keep it unique | the texts |
| numeric | the document's number, padded to one width: 0042 | |
| atomic | one token of its own: <doc_42> | |
| semantic | cluster, cluster in the cluster, .., number in the last one: <a_3> <b_1> <n_7> (DSI) | vectors |
| shuffled | the semantic docID of some other document: a control | vectors |
| rq | a code of each residual codebook, number among those alike: <a_31> <b_7> <c_200> <n_0> (TIGER) | vectors |
| sparse | the atoms of a sparse code, largest first: 25,36,39 | vectors |

A docID is a tuple of pieces: one text (text, numeric, sparse), or code tokens (the others). Rows decide who is
first: documents that come later get the next rows, and yield. To add a scheme, write a function of the catalogue
so far, the new texts and vectors and its settings, and name it in `SCHEMES`.
"""

import inspect
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars.exceptions import PolarsError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from arrange.docids import codes, names
from arrange.docids import rq as residual
from arrange.docids import semantic as hierarchy
from arrange.docids import sparse as dictionary
from arrange.docids.codes import Docid
from arrange.errors import UserError
from arrange.files import replacing
from arrange.models.vectors import Floats

AT_LEAST = {"seed": 0, "clusters": 2, "leaf": 2, "codebook": 2}  # the other settings: 1
AT_MOST = {"levels": len(codes.LEVELS)}


@dataclass(frozen=True, eq=False)
class Catalogue:
    """The documents so far, in rows, and what later ones need.

    docids: the pieces of each document's docID.
    codes: all code tokens, in the order in which the tokenizer gets them; only `atomic` adds some later.
    collisions: how many documents got a number because an earlier one has what the scheme alone gives them. In
        `semantic` that is the way to the last cluster, so they are all but the first of each.
    arrays: what was fitted to the documents of the first build (centroids, codebooks, dictionary), by name.
    """

    scheme: str
    settings: Mapping[str, int]
    texts: list[str]
    docids: list[Docid]
    codes: list[str]
    collisions: int
    arrays: Mapping[str, NDArray[Any]]

    def save(self, folder: Path) -> None:
        """Write catalogue.json, docids.parquet and arrays.safetensors: same catalogue, same bytes."""
        table = pl.DataFrame(
            {"text": self.texts, "docid": list(map(list, self.docids))},
            schema={"text": pl.String, "docid": pl.List(pl.String)},
        )
        rest = {key: getattr(self, key) for key in ("scheme", "settings", "codes", "collisions")}
        with replacing(folder) as part:
            part.mkdir()
            table.write_parquet(part / "docids.parquet")
            save_file(dict(self.arrays), part / "arrays.safetensors")
            (part / "catalogue.json").write_text(json.dumps(rest, indent=1))


def load(folder: Path) -> Catalogue:
    """Read what `Catalogue.save` wrote. Raises UserError where a file is missing or damaged."""
    try:
        rest = json.loads((folder / "catalogue.json").read_text())
        table = pl.read_parquet(folder / "docids.parquet")
        arrays = load_file(folder / "arrays.safetensors")
        docids = [tuple(pieces) for pieces in table["docid"].to_list()]
        return Catalogue(**rest, texts=table["text"].to_list(), docids=docids, arrays=arrays)
    except (OSError, ValueError, TypeError, PolarsError, SafetensorError) as error:
        raise UserError(f"{folder} cannot be read as a catalogue: {error}", "build the docIDs again") from error


def build(
    scheme: str, settings: Mapping[str, int], texts: Sequence[str], vectors_DE: Floats | None = None
) -> Catalogue:
    """Give every document a docID. `texts` are their titles; `vectors_DE` is for the schemes of `NEED_VECTORS`.

    Same texts, vectors and settings: same docIDs. Raises UserError for an unknown scheme, wrong settings, vectors
    that are missing, and, in `text`, a text without a visible character.

    >>> build("text", {"least_words": 1}, ["red wool hat", "red shoe", "blue shoe", "red shoe"]).docids
    [('red wool',), ('red shoe',), ('blue',), ('red shoe (2)',)]
    """
    check_scheme(scheme, settings)
    if not len(texts):
        raise UserError("there are no documents", "give at least one")
    return extend(Catalogue(scheme, settings, [], [], [], 0, {}), texts, vectors_DE)


def extend(catalogue: Catalogue, texts: Sequence[str], vectors_DE: Floats | None = None) -> Catalogue:
    """The catalogue with further documents behind the old ones, whose docIDs stay as they are.

    Nothing is fitted again: newcomers get what the centroids, codebooks or dictionary of the first build say, and
    the next number where a docID is taken. The vectors come from the same vectoriser. Raises UserError as `build`.

    >>> shop = build("numeric", {}, ["hat", "shoe"])
    >>> extend(shop, ["hose"]).docids
    [('0',), ('1',), ('2',)]
    """
    if catalogue.scheme in NEED_VECTORS:
        _check_vectors(catalogue, texts, vectors_DE)
    if not len(texts):
        return catalogue
    grown = SCHEMES[catalogue.scheme](catalogue, texts, vectors_DE, **catalogue.settings)
    return replace(grown, texts=[*catalogue.texts, *texts])


def check_scheme(scheme: str, settings: Mapping[str, int]) -> None:
    """Raise UserError unless `scheme` is known and `settings` are its own and large enough."""
    if scheme not in SCHEMES:
        near = get_close_matches(scheme, SCHEMES, n=1, cutoff=0.0)[0]
        raise UserError(f"unknown docID scheme {scheme!r}", f"did you mean {near!r}? Schemes: {', '.join(SCHEMES)}")
    wanted = list(inspect.signature(SCHEMES[scheme]).parameters)[3:]
    if sorted(settings) != sorted(wanted):
        given = ", ".join(sorted(settings)) or "none"
        raise UserError(f"docIDs {scheme!r} got the settings: {given}", f"give exactly: {', '.join(wanted) or 'none'}")
    for name, value in settings.items():
        least, most = AT_LEAST.get(name, 1), AT_MOST.get(name, 2**31)
        if not least <= value <= most:
            raise UserError(f"{name} of docIDs {scheme!r} is {value}", f"give a whole number from {least} to {most}")


def text(old: Catalogue, texts: Sequence[str], _vectors_DE: Floats | None, least_words: int) -> Catalogue:
    """The fewest first words, `least_words` or more, with which no other title begins; equal titles get " (2)".

    A newcomer's words tell it from the old titles, too.
    """
    return _named(old, names.shorten(texts, least_words, others=old.texts))


def numeric(old: Catalogue, texts: Sequence[str], _vectors_DE: Floats | None) -> Catalogue:
    """The row, in as many digits as the first build's last row has; later ones may have more."""
    width = len(old.docids[0][0]) if old.docids else len(str(len(texts) - 1))
    rows = range(len(old.docids), len(old.docids) + len(texts))
    return replace(old, docids=[*old.docids, *((f"{row:0{width}}",) for row in rows)])


def atomic(old: Catalogue, texts: Sequence[str], _vectors_DE: Floats | None) -> Catalogue:
    """A token of its own for every document ("atomic identifiers" of DSI): later ones make the vocabulary grow."""
    tokens = [f"<doc_{row}>" for row in range(len(old.docids), len(old.docids) + len(texts))]
    return replace(old, docids=[*old.docids, *((token,) for token in tokens)], codes=[*old.codes, *tokens])


def semantic(
    old: Catalogue, texts: Sequence[str], vectors_DE: Floats, clusters: int, leaf: int, seed: int
) -> Catalogue:
    """The way down the clusters (`arrange.docids.semantic`), then the number in the last one."""
    arrays = old.arrays or hierarchy.fit(vectors_DE, clusters, leaf, seed)
    paths = hierarchy.encode(arrays["centroids_NE"], arrays["first_child_N1"], vectors_DE)
    tokens = codes.vocabulary(hierarchy.depth(arrays["first_child_N1"]), clusters, leaf)
    return _coded(replace(old, arrays=arrays, codes=tokens), map(codes.tokens, paths), leaf)


def shuffled(
    old: Catalogue, texts: Sequence[str], vectors_DE: Floats, clusters: int, leaf: int, seed: int
) -> Catalogue:
    """The semantic docIDs, dealt out to the documents in a random order: same trie, no meaning.

    A newcomer joins the cluster of a document drawn at random.
    """
    rng = np.random.default_rng([seed, len(old.docids)])
    if not old.docids:
        built = semantic(old, texts, vectors_DE, clusters, leaf, seed)
        return replace(built, docids=[built.docids[row] for row in rng.permutation(len(texts))])
    drawn = [codes.path_of(old.docids[row]) for row in rng.integers(len(old.docids), size=len(texts))]
    return _coded(old, drawn, leaf)


def rq(old: Catalogue, texts: Sequence[str], vectors_DE: Floats, levels: int, codebook: int, seed: int) -> Catalogue:
    """The codes of the residual codebooks (`arrange.docids.rq`), then the number among documents with the same."""
    arrays = old.arrays or {"codebooks_LKE": residual.fit(vectors_DE, levels, codebook, seed)}
    paths = residual.encode(arrays["codebooks_LKE"], vectors_DE).tolist()
    tokens = codes.vocabulary(levels, codebook, codebook)
    return _coded(replace(old, arrays=arrays, codes=tokens), map(codes.tokens, paths), codebook)


def sparse(old: Catalogue, texts: Sequence[str], vectors_DE: Floats, atoms: int, nonzeros: int, seed: int) -> Catalogue:
    """The atoms of each sparse code (`arrange.docids.sparse`); equal ones get " (2)"."""
    arrays = old.arrays or {"dictionary_AE": dictionary.fit(vectors_DE, atoms, seed)}
    return replace(_named(old, dictionary.encode(arrays["dictionary_AE"], vectors_DE, nonzeros)), arrays=arrays)


SCHEMES: dict[str, Callable[..., Catalogue]] = {
    "text": text,
    "numeric": numeric,
    "atomic": atomic,
    "semantic": semantic,
    "shuffled": shuffled,
    "rq": rq,
    "sparse": sparse,
}
NEED_VECTORS = ("semantic", "shuffled", "rq", "sparse")


def _named(old: Catalogue, stems: Sequence[str]) -> Catalogue:
    """The catalogue with further docIDs that are texts, numbered where they are taken."""
    unique = names.unique_names(stems, used=[docid for (docid,) in old.docids])
    numbered = sum(name != stem for name, stem in zip(unique, stems, strict=True))
    return replace(old, docids=[*old.docids, *((name,) for name in unique)], collisions=old.collisions + numbered)


def _coded(old: Catalogue, paths: Iterable[Docid], digits: int) -> Catalogue:
    """The catalogue with further docIDs that are code tokens, each path with its serial number."""
    docids = [*old.docids, *codes.numbered(paths, digits, old.docids)]
    return replace(old, docids=docids, collisions=len(docids) - len(set(map(codes.path_of, docids))))


def _check_vectors(catalogue: Catalogue, texts: Sequence[str], vectors_DE: Floats | None) -> None:
    if vectors_DE is None:
        raise UserError(f"docIDs {catalogue.scheme!r} are made of vectors, none were given", "give document vectors")
    if len(vectors_DE) != len(texts):
        raise UserError(f"there are {len(texts)} documents and {len(vectors_DE)} vectors", "give one vector each")
    widths = {array.shape[-1] for name, array in catalogue.arrays.items() if name.endswith("E")}
    if widths - {vectors_DE.shape[1]}:
        raise UserError(
            f"vectors of {vectors_DE.shape[1]} numbers for a catalogue of {widths.pop()}",
            "give those of the vectoriser that the catalogue was built with",
        )
