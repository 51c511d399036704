"""DocID schemes: a docID for every document, also for documents that come later.

| scheme | a docID | made of |
|---|---|---|
| text | the title's first words, the fewest that keep it unique; others where these are too long | the texts |
| numeric | the document's number, padded to one width: 0042 | |
| atomic | one token of its own: <doc_42> | |
| semantic | cluster, cluster in the cluster, .., number in the last one: <a_3> <b_1> <n_7> (DSI) | vectors |
| shuffled | the semantic docID of some other document: a control | vectors |
| rq | a code of each residual codebook, number among those alike: <a_31> <b_7> <c_200> <n_0> | vectors |
| rqvae | the same of codebooks that an autoencoder learns (TIGER) | vectors |
| lexical | learned words: hunting dog terrier (GLEN) | the texts, training queries |
| sparse | the atoms of a sparse code, largest first: 25,36,39 | vectors |

A docID is a tuple of pieces: one text (text, numeric, sparse, lexical), or code tokens (the others). Rows decide who
comes first: documents that are added later get the next rows, and of two documents that want one docID the later one
gets another. A scheme is a dataclass: its fields are its settings, `assign` does the work. To add one, write its
dataclass here and put it into `Scheme`.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args

import numpy as np
import polars as pl
from annotated_types import Ge, Le
from numpy.typing import NDArray
from polars.exceptions import PolarsError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from arrange.bounds import Count, Seed, Share
from arrange.docids import codes, names, rqvae
from arrange.docids import lexical as learned
from arrange.docids import rq as residual
from arrange.docids import semantic as hierarchy
from arrange.docids import sparse as dictionary
from arrange.docids.codes import Docid
from arrange.docids.judged import Judged, near_queries
from arrange.errors import UserError
from arrange.files import replacing
from arrange.models.vectors import Floats

Several = Annotated[int, Ge(2), Le(2**31)]
Levels = Annotated[int, Ge(1), Le(len(codes.LEVELS))]  # a level is a letter


@dataclass(frozen=True, eq=False)
class Assignment:
    """What a scheme has assigned so far, a row per document, and what later documents need.

    docids: the pieces of each document's docID.
    codes: all code tokens, in the order in which the tokenizer gets them; only `atomic` adds some later.
    collisions: how many documents got a number because an earlier one has what the scheme alone gives them. In
        `semantic` that is the path to the last cluster, so they are all but the first document of each. In `lexical`
        they got another last word.
    arrays: what was fitted to the documents of the first build (centroids, codebooks, dictionary), by name.
    """

    scheme: "Scheme"
    texts: list[str]
    docids: list[Docid]
    codes: list[str]
    collisions: int
    arrays: Mapping[str, NDArray[Any]]

    def save(self, folder: Path) -> None:
        """Write assignment.json, docids.parquet and arrays.safetensors: same assignment, same bytes."""
        table = pl.DataFrame(
            {"text": self.texts, "docid": list(map(list, self.docids))},
            schema={"text": pl.String, "docid": pl.List(pl.String)},
        )
        rest = {"scheme": asdict(self.scheme), "codes": self.codes, "collisions": self.collisions}
        with replacing(folder) as part:
            part.mkdir()
            table.write_parquet(part / "docids.parquet")
            save_file(dict(self.arrays), part / "arrays.safetensors")
            (part / "assignment.json").write_text(json.dumps(rest, indent=1))


def load(folder: Path) -> Assignment:
    """Read what `Assignment.save` wrote. Raises UserError where a file is missing or damaged."""
    try:
        rest = json.loads((folder / "assignment.json").read_text())
        kind = {name: kind for kind in get_args(Scheme) for name in get_args(kind.__annotations__["scheme"])}
        settings = rest.pop("scheme")
        scheme = kind[settings["scheme"]](**settings)
        table = pl.read_parquet(folder / "docids.parquet")
        arrays = load_file(folder / "arrays.safetensors")
        docids = [tuple(pieces) for pieces in table["docid"].to_list()]
        return Assignment(scheme, table["text"].to_list(), docids, arrays=arrays, **rest)
    except (OSError, ValueError, TypeError, KeyError, PolarsError, SafetensorError) as error:
        raise UserError(
            f"{folder} cannot be read as an assignment of docIDs: {error}", "build the docIDs again"
        ) from error


def build(
    scheme: "Scheme", texts: Sequence[str], vectors_DE: Floats | None = None, judged: Judged | None = None
) -> Assignment:
    """Give every document a docID. `texts` are their titles; `vectors_DE` is for schemes with `needs_vectors`.

    judged: what training queries say, for `lexical` and for schemes with `relevance`; others leave it alone.
    Same arguments: same docIDs. Raises UserError for vectors or judgements that are missing, in `text` for a text
    without a visible character, in `lexical` for texts without a word.

    >>> build(Text(least_words=1), ["red wool hat", "red shoe", "blue shoe", "red shoe"]).docids
    [('red wool',), ('red shoe',), ('blue',), ('red shoe (2)',)]
    """
    if not len(texts):
        raise UserError("there are no documents", "give at least one")
    empty = Assignment(scheme, [], [], [], 0, {})
    if isinstance(scheme, Lexical):
        empty = replace(empty, arrays=scheme.fit(texts, judged))
    elif isinstance(scheme, Rq | Rqvae) and scheme.relevance:
        _check_vectors(empty, texts, vectors_DE)
        if judged is None or judged.vectors_QE is None:
            raise UserError(f"docIDs {scheme.scheme!r}: relevance needs training queries, none were given", "give them")
        vectors_DE = near_queries(vectors_DE, judged.vectors_QE, judged, scheme.relevance)  # type: ignore[arg-type]
    return extend(empty, texts, vectors_DE)


def extend(old: Assignment, texts: Sequence[str], vectors_DE: Floats | None = None) -> Assignment:
    """The assignment with further documents after the old ones, whose docIDs stay as they are.

    Nothing is fitted again: new documents get what the centroids, codebooks or dictionary of the first build say, and
    the next number where a docID is taken. The vectors must come from the same vectoriser. Raises UserError as `build`.

    >>> shop = build(Numeric(), ["hat", "shoe"])
    >>> extend(shop, ["hose"]).docids
    [('0',), ('1',), ('2',)]
    """
    if old.scheme.needs_vectors:
        _check_vectors(old, texts, vectors_DE)
    if not len(texts):
        return old
    grown = old.scheme.assign(old, texts, vectors_DE)  # type: ignore[arg-type]  # vectors: checked above
    return replace(grown, texts=[*old.texts, *texts])


@dataclass(frozen=True, kw_only=True)
class Text:
    """The fewest first words, `least_words` or more, with which no other title begins; equal titles get " (2)".

    A new document's words tell it from the old titles, too.
    most_tokens: of a docID, the end token included. Words are counted here; `arrange.docids.bounded`, which knows the
    tokenizer, gives other docIDs to titles of more tokens. At least 16, so that a letter and a number always fit.
    """

    needs_vectors: ClassVar[bool] = False
    scheme: Literal["text"] = "text"
    least_words: Count
    most_tokens: Annotated[int, Ge(16), Le(2**31)] = 16

    def assign(self, old: Assignment, texts: Sequence[str], _vectors_DE: Floats | None) -> Assignment:
        return _named(old, names.shorten(texts, self.least_words, old.texts, self.most_tokens))


@dataclass(frozen=True, kw_only=True)
class Numeric:
    """The row, in as many digits as the first build's last row has; later ones may have more."""

    needs_vectors: ClassVar[bool] = False
    scheme: Literal["numeric"] = "numeric"

    def assign(self, old: Assignment, texts: Sequence[str], _vectors_DE: Floats | None) -> Assignment:
        width = len(old.docids[0][0]) if old.docids else len(str(len(texts) - 1))
        rows = range(len(old.docids), len(old.docids) + len(texts))
        return replace(old, docids=[*old.docids, *((f"{row:0{width}}",) for row in rows)])


@dataclass(frozen=True, kw_only=True)
class Atomic:
    """A token of its own for every document ("atomic identifiers" of DSI): later ones make the vocabulary grow."""

    needs_vectors: ClassVar[bool] = False
    scheme: Literal["atomic"] = "atomic"

    def assign(self, old: Assignment, texts: Sequence[str], _vectors_DE: Floats | None) -> Assignment:
        tokens = [f"<doc_{row}>" for row in range(len(old.docids), len(old.docids) + len(texts))]
        return replace(old, docids=[*old.docids, *((token,) for token in tokens)], codes=[*old.codes, *tokens])


@dataclass(frozen=True, kw_only=True)
class Semantic:
    """The path through the clusters (`arrange.docids.semantic`), then the number in the last one.

    clusters: into how many a cluster is split. leaf: the largest number of documents of one that is not split.
    """

    needs_vectors: ClassVar[bool] = True
    scheme: Literal["semantic"] = "semantic"
    clusters: Several
    leaf: Several
    seed: Seed

    def assign(self, old: Assignment, texts: Sequence[str], vectors_DE: Floats) -> Assignment:
        arrays = old.arrays or hierarchy.fit(vectors_DE, self.clusters, self.leaf, self.seed)
        paths = hierarchy.encode(arrays["centroids_NE"], arrays["first_child_N1"], vectors_DE)
        tokens = codes.vocabulary(hierarchy.depth(arrays["first_child_N1"]), self.clusters, self.leaf)
        return _coded(replace(old, arrays=arrays, codes=tokens), map(codes.tokens, paths), self.leaf)


@dataclass(frozen=True, kw_only=True)
class Shuffled:
    """The semantic docIDs in a random order: same trie, no meaning.

    A new document joins the cluster of a document drawn at random.
    """

    needs_vectors: ClassVar[bool] = True
    scheme: Literal["shuffled"] = "shuffled"
    clusters: Several
    leaf: Several
    seed: Seed

    def assign(self, old: Assignment, texts: Sequence[str], vectors_DE: Floats) -> Assignment:
        rng = np.random.default_rng([self.seed, len(old.docids)])
        if not old.docids:
            ordered = Semantic(clusters=self.clusters, leaf=self.leaf, seed=self.seed)
            built = ordered.assign(old, texts, vectors_DE)
            return replace(built, docids=[built.docids[row] for row in rng.permutation(len(texts))])
        drawn = [codes.path_of(old.docids[row]) for row in rng.integers(len(old.docids), size=len(texts))]
        return _coded(old, drawn, self.leaf)


@dataclass(frozen=True, kw_only=True)
class Rq:
    """The codes of the residual codebooks (`arrange.docids.rq`), then the number among documents with the same codes.

    levels: codebooks, so codes of a docID. codebook: entries of each, at most. balanced: every code of a level gets as
    many documents as any other, or one more. relevance: the share of their training queries in documents' vectors
    (`arrange.docids.judged`), so that documents of the same queries begin alike.
    """

    needs_vectors: ClassVar[bool] = True
    scheme: Literal["rq"] = "rq"
    levels: Levels
    codebook: Several
    seed: Seed
    balanced: bool = False
    relevance: Share = 0.0

    def assign(self, old: Assignment, texts: Sequence[str], vectors_DE: Floats) -> Assignment:
        arrays = old.arrays
        if arrays:
            codes_DL = residual.encode(arrays["codebooks_LKE"], vectors_DE, arrays.get("prices_LK"))
        else:
            fit = residual.fit_balanced if self.balanced else residual.fit_nearest
            arrays, codes_DL = fit(vectors_DE, self.levels, self.codebook, self.seed)
        tokens = codes.vocabulary(self.levels, self.codebook, self.codebook)
        return _coded(replace(old, arrays=arrays, codes=tokens), map(codes.tokens, codes_DL.tolist()), self.codebook)


@dataclass(frozen=True, kw_only=True)
class Rqvae:
    """As `rq`, with codebooks that an autoencoder learns in `steps` steps (`arrange.docids.rqvae`)."""

    needs_vectors: ClassVar[bool] = True
    scheme: Literal["rqvae"] = "rqvae"
    levels: Levels
    codebook: Several
    steps: Count
    seed: Seed
    relevance: Share = 0.0

    def assign(self, old: Assignment, texts: Sequence[str], vectors_DE: Floats) -> Assignment:
        arrays = old.arrays or rqvae.fit(vectors_DE, self.levels, self.codebook, self.steps, self.seed)
        paths = map(codes.tokens, rqvae.encode(arrays, vectors_DE).tolist())
        tokens = codes.vocabulary(self.levels, self.codebook, self.codebook)
        return _coded(replace(old, arrays=arrays, codes=tokens), paths, self.codebook)


@dataclass(frozen=True, kw_only=True)
class Lexical:
    """Learned words (`arrange.docids.lexical`); where a docID is taken, the next best last word.

    words: of a docID. vocabulary: the most frequent words, among which the model chooses. steps: of each of its two
    trainings.
    """

    needs_vectors: ClassVar[bool] = False
    scheme: Literal["lexical"] = "lexical"
    words: Count
    vocabulary: Count
    steps: Count
    seed: Seed

    def fit(self, texts: Sequence[str], judged: Judged | None) -> dict[str, NDArray[Any]]:
        """The model, trained on documents and training queries."""
        return learned.fit(texts, judged, self.words, self.vocabulary, self.steps, self.seed)

    def assign(self, old: Assignment, texts: Sequence[str], _vectors_DE: Floats | None) -> Assignment:
        stems, moved = learned.encode(old.arrays, texts, [docid for (docid,) in old.docids])
        named = _named(old, stems)
        return replace(named, collisions=named.collisions + moved)


@dataclass(frozen=True, kw_only=True)
class Sparse:
    """The atoms of each sparse code (`arrange.docids.sparse`); equal ones get " (2)".

    atoms: of the dictionary. nonzeros: atoms of a docID, at most.
    """

    needs_vectors: ClassVar[bool] = True
    scheme: Literal["sparse"] = "sparse"
    atoms: Count
    nonzeros: Count
    seed: Seed

    def assign(self, old: Assignment, texts: Sequence[str], vectors_DE: Floats) -> Assignment:
        arrays = old.arrays or {"dictionary_AE": dictionary.fit(vectors_DE, self.atoms, self.seed)}
        stems = dictionary.encode(arrays["dictionary_AE"], vectors_DE, self.nonzeros)
        return replace(_named(old, stems), arrays=arrays)


Scheme = Text | Numeric | Atomic | Semantic | Shuffled | Rq | Rqvae | Sparse | Lexical


def _named(old: Assignment, stems: Sequence[str]) -> Assignment:
    """The assignment with further docIDs that are texts, numbered where they are taken."""
    unique = names.unique_names(stems, used=[docid for (docid,) in old.docids])
    numbered = sum(name != stem for name, stem in zip(unique, stems, strict=True))
    return replace(old, docids=[*old.docids, *((name,) for name in unique)], collisions=old.collisions + numbered)


def _coded(old: Assignment, paths: Iterable[Docid], digits: int) -> Assignment:
    """The assignment with further docIDs that are code tokens, each path with its serial number."""
    docids = [*old.docids, *codes.numbered(paths, digits, old.docids)]
    return replace(old, docids=docids, collisions=len(docids) - len(set(map(codes.path_of, docids))))


def _check_vectors(old: Assignment, texts: Sequence[str], vectors_DE: Floats | None) -> None:
    if vectors_DE is None:
        raise UserError(f"docIDs {old.scheme.scheme!r} need document vectors, none were given", "give them")
    if len(vectors_DE) != len(texts):
        raise UserError(f"there are {len(texts)} documents and {len(vectors_DE)} vectors", "give one vector each")
    widths = {array.shape[-1] for name, array in old.arrays.items() if name.endswith("E")}
    if widths - {vectors_DE.shape[1]}:
        raise UserError(
            f"vectors of {vectors_DE.shape[1]} numbers for docIDs that were built with {widths.pop()}",
            "give those of the vectoriser that the docIDs were built with",
        )
