"""First stages: the documents that cheap systems find for a query, in a learned order, for a ranker to choose from.

Rankers that are trained on a first stage need its documents for the training queries too. There the vote of the
neighbours must not know the answer: a training query is no neighbour of its own.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError
from safetensors import SafetensorError
from safetensors.torch import load as from_bytes
from safetensors.torch import save_file
from sklearn.ensemble import HistGradientBoostingRegressor
from torch import Tensor

from arrange.baselines import bm25, learned
from arrange.baselines.controls import Apart, Voters, apart_in
from arrange.baselines.matches import matches
from arrange.baselines.scores import rank
from arrange.data.tables import Dataset
from arrange.errors import UserError
from arrange.files import replacing
from arrange.models import encoders
from arrange.models.adapters import weights

MAX_TOKENS = 64  # of a text that an encoder reads
TEACHERS = 1000  # more teach hardly more, and an encoder reads them all
FOLDER = "first_stage"  # in a folder of runs/

Search = Callable[[pl.DataFrame], pl.DataFrame]  # from queries (query_id, text) to a run


@dataclass(frozen=True, eq=False)
class FirstStage:
    """Systems by name, each of which gives `depth` documents, and what teaches their order.

    documents: doc_id, text. train, qrels: the training queries, and their documents by rank. taught: what the trees
    read of the documents that were found for those that teach. voters: neighbours that vote. Made by `fit` and `load`.
    """

    systems: Mapping[str, Search]
    depth: int
    documents: pl.DataFrame
    train: pl.DataFrame
    qrels: pl.DataFrame
    taught: pl.DataFrame
    voters: int

    def rank(self, queries: pl.DataFrame) -> pl.DataFrame:
        """The run of queries that are no training queries; by reciprocal ranks where too few could teach."""
        found = found_by(self.systems, self.depth, queries)
        return learned.ordered(self.trees, described(found, queries, self.documents), found)

    @cached_property
    def trees(self) -> HistGradientBoostingRegressor | None:
        """What the training queries have taught; None if they are too few."""
        return learned.learn(self.taught, self.qrels)

    def rank_train(self) -> pl.DataFrame:
        """The run of the training queries, if all of them teach: each is ranked by what others taught."""
        if self.trees is None:
            return self.rank(self.train)
        return learned.cross_fitted(self.taught, self.qrels)


def fit(
    dataset: Dataset,
    names: Sequence[str],
    depth: int,
    voters: int,
    teachers: int | None = TEACHERS,
    progress: Callable[[int], object] = lambda done: None,
) -> FirstStage:
    """A first stage over a data set's documents, taught by its training queries.

    names: `bm25`, `neighbours` and sentence encoders (folders of base models). voters: neighbours that vote; a
    training query's are as far away as a validation query's (`controls.apart_in`). teachers: how many training queries
    teach; None for all.
    """
    train = dataset.queries.filter(split="train").select("query_id", "text")
    qrels = dataset.qrels.join(train, on="query_id", how="semi").select("query_id", "doc_id", "rank")
    asked = train if teachers is None else train.sample(min(teachers, len(train)), seed=0)
    texts = dataset.documents.select("doc_id", "text")
    systems = opened(names, texts, train, qrels, voters, apart_in(dataset), progress)
    taught = described(found_by(systems, depth, asked), asked, texts)
    return FirstStage(systems, depth, texts, train, qrels, taught, voters)


def opened(
    names: Sequence[str],
    documents: pl.DataFrame,
    train: pl.DataFrame,
    qrels: pl.DataFrame,
    voters: int,
    apart: Apart | None,
    progress: Callable[[int], object],
) -> dict[str, Search]:
    """The systems, ready to be asked."""
    makers: dict[str, Callable[[], Search]] = {
        "bm25": lambda: bm25.Index(documents).search,
        "neighbours": lambda: Voters(train, qrels, voters, apart).vote,
    }
    return {name: makers[name]() if name in makers else encoded(documents, Path(name), progress) for name in names}


def found_by(systems: Mapping[str, Search], depth: int, queries: pl.DataFrame) -> list[pl.DataFrame]:
    """The runs of the systems, their first `depth` documents."""
    return [search(queries).filter(pl.col("rank") <= depth) for search in systems.values()]


def described(found: Sequence[pl.DataFrame], queries: pl.DataFrame, documents: pl.DataFrame) -> pl.DataFrame:
    """What the trees read of each query's documents."""
    table = learned.features(found)
    return table.hstack(matches(table, queries, documents))


@dataclass(frozen=True, eq=False)
class Encoded:
    """A sentence encoder, and its vectors of the documents, D x N; asked for the nearest ones by cosine."""

    vectors: Callable[[Sequence[str]], Tensor]
    doc_ids: Sequence[str]
    vectors_DN: Tensor

    def __call__(self, queries: pl.DataFrame) -> pl.DataFrame:
        vectors_QN, table_DN = self.vectors(queries["text"].to_list()).numpy(), self.vectors_DN.numpy()
        query_ids = queries["query_id"].to_list()
        return rank(query_ids, self.doc_ids, lambda query, rows_K: table_DN[rows_K] @ vectors_QN[query])


def encoded(documents: pl.DataFrame, folder: Path, progress: Callable[[int], object] = lambda done: None) -> Encoded:
    """The encoder in a folder of a base model, with the vectors of some documents (doc_id, text)."""
    vectors = vectors_of(folder)
    return Encoded(vectors, documents["doc_id"].to_list(), vectors(documents["text"].to_list(), progress))


def vectors_of(folder: Path) -> Callable[..., Tensor]:
    """The function that gives texts their vectors, T x N, and tells `progress` how many have one."""
    tokenizer, encoder = encoders.by_name(str(folder))

    def vectors(texts: Sequence[str], progress: Callable[[int], object] = lambda done: None) -> Tensor:
        return encoder.vectors(encoders.encode(tokenizer, list(texts), MAX_TOKENS), progress=progress)

    return vectors


def write(first: FirstStage, folder: Path) -> None:
    """Write a folder from which `load` makes the first stage again, next to its documents and its encoders."""
    vectors = {name: system.vectors_DN for name, system in first.systems.items() if isinstance(system, Encoded)}
    notes = {"systems": [*first.systems], "depth": first.depth, "voters": first.voters}
    notes["encoders"] = {name: weights(Path(name)) for name in vectors}
    with replacing(folder) as part:
        part.mkdir()
        (part / "first_stage.json").write_text(json.dumps(notes, indent=1))
        save_file(vectors, part / "vectors.safetensors")
        for name, table in (("queries", first.train), ("qrels", first.qrels), ("taught", first.taught)):
            table.write_parquet(part / f"{name}.parquet")


def load(folder: Path, documents: pl.DataFrame) -> FirstStage:
    """The first stage that `write` has written, over the documents (doc_id, text) of its catalogue.

    Raises UserError where a part is missing, or an encoder isn't in its folder (base_models/minilm), from here.
    """
    try:
        notes = json.loads((folder / "first_stage.json").read_text())
        train, qrels, taught = (pl.read_parquet(folder / f"{name}.parquet") for name in ("queries", "qrels", "taught"))
        # read, not mapped: a server goes on with what it has read when the file is written anew
        vectors = from_bytes((folder / "vectors.safetensors").read_bytes())
    except (OSError, ValueError, PolarsError, SafetensorError) as error:
        raise UserError(f"{folder} holds no whole first stage: {error}", "export the ranker again") from None
    systems: dict[str, Search] = {}
    for name in notes["systems"]:
        if name in vectors:
            check_weights(name, notes["encoders"][name], folder)
            systems[name] = Encoded(vectors_of(Path(name)), documents["doc_id"].to_list(), vectors[name])
        else:
            systems |= opened([name], documents, train, qrels, notes["voters"], None, lambda done: None)
    return FirstStage(systems, notes["depth"], documents, train, qrels, taught, notes["voters"])


def check_weights(encoder: str, noted: Mapping[str, str], folder: Path) -> None:
    """Raise UserError unless the encoder's folder has the weights that made the documents' vectors."""
    if weights(Path(encoder)) != noted:
        what = f"{folder} needs the encoder {encoder}, and there is none here, or one with other weights"
        raise UserError(what, f"bring its folder here as {encoder}, or start where it is")
