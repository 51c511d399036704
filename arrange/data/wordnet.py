"""WordNet 3.0 nouns as a ranking data set: a synset is the query, its hypernyms are the documents."""

import difflib
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Literal

import polars as pl

from arrange.data.splits import assign
from arrange.data.tables import SCHEMAS, Dataset
from arrange.data.wordnet_files import Synset
from arrange.errors import UserError

GAIN = 10**6  # of rank 1: gains are 1 / rank as integers, which is what ir_measures takes

Text = Literal["lemmas", "lemmas_gloss", "lemma"]
Split = Literal["parent", "query"]


def ancestors(synsets: Mapping[str, Synset]) -> dict[str, dict[str, int]]:
    """Every synset's hypernyms up to the root with the shortest distance to each, nearest first.

    At the same distance the one with the longer way to the root comes first, hence a descendant before
    its ancestor; then ids decide. Raises UserError when the hypernyms form a cycle.
    """
    try:
        downwards = list(TopologicalSorter({id_: s.hypernyms for id_, s in synsets.items()}).static_order())
    except CycleError as error:
        raise UserError(
            f"WordNet: hypernyms form a cycle: {' -> '.join(error.args[1])}", "take the files of an unchanged release"
        ) from None
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


def tables(
    synsets: Mapping[str, Synset], root: str, text: Text, split: Split, validation: float, test: float
) -> Dataset:
    """The subtree of `root` as queries, and all their hypernyms up to the top as ranked documents.

    A query is a synset at or below `root` that has a hypernym; its text is "lemmas" (all of them),
    "lemmas_gloss" ("lemma, lemma: gloss") or "lemma" (the first alone, as in arXiv 2601.05588). A
    document's text is its first lemma. The rank is the dense rank of the shortest distance, so equal
    distances are ties; the gain is round(10^6 / rank).

    Splits by hash (see `splits.assign`): "query" hashes the query's id, "parent" the id of the nearest
    hypernym, the smallest id among several, so that no test query's list is a training query's list.
    Raises UserError for an unknown root, and a root with too few synsets to fill the splits.
    """
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
