"""Controls: runs that are made without a model. A ranker's numbers say little unless compared with theirs.

`candidates`, here and in `arrange.baselines`, is a table of query_id and doc_id. If it is given, a query's run ranks
its candidates, all of them and no other documents (in the regime `in_context`; pass the qrels to rank judged lists).
"""

from typing import Literal

import numpy as np
import polars as pl
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.neighbors import NearestNeighbors

from arrange.baselines import bm25
from arrange.baselines.settings import Controls
from arrange.data.tables import Dataset
from arrange.errors import UserError
from arrange.evaluation.runs import from_scores
from arrange.tokenization import WORD

Apart = Literal["query", "best_document"]  # see `kin`


def control_runs(
    train: Dataset, ranked: Dataset, settings: Controls, candidates: pl.DataFrame | None
) -> dict[str, pl.DataFrame]:
    """The run of each control over the queries of `ranked`, by name; over all documents or the candidates alone.

    With candidates, `random` orders the judged negatives too.
    """
    in_random_order = ranked.qrels if candidates is None else ranked.qrels.with_columns(pl.col("rank").fill_null(1))
    learnt = train.queries, train.qrels, ranked.queries
    return {
        "random": random_order(in_random_order, settings.seed),
        "root_first": root_first(ranked.qrels),
        "copy": neighbours(*learnt, 1, candidates=candidates),
        "neighbours": neighbours(*learnt, settings.neighbours, candidates=candidates),
        "popularity": popularity(train.qrels, ranked.queries, candidates=candidates),
        "bm25": bm25.search(ranked.queries, ranked.documents, candidates=candidates),
    }


def among(scores: pl.DataFrame, candidates: pl.DataFrame | None) -> pl.DataFrame:
    """The scores (query_id, doc_id, score) of the candidates; a candidate without a score gets 0.

    Without candidates, the scores as they are.
    """
    if candidates is None:
        return scores
    pairs = candidates.select("query_id", "doc_id")
    return pairs.join(scores, on=["query_id", "doc_id"], how="left").with_columns(pl.col("score").fill_null(0))


def random_order(qrels: pl.DataFrame, seed: int) -> pl.DataFrame:
    """The true documents of each query in a random order: the set is given, the order isn't.

    qrels: of the queries to rank. Judged negatives are no true documents.
    """
    true = qrels.filter(pl.col("rank").is_not_null()).sort("query_id", "doc_id")
    score_N = np.random.default_rng(seed).random(len(true))
    return from_scores(true.select("query_id", "doc_id", score=pl.Series(score_N)), depth=len(true))


def root_first(qrels: pl.DataFrame) -> pl.DataFrame:
    """The true documents of each query from the last rank to the first: the root of a hierarchy comes first.

    The set is given and the order is reversed, as by a ranker that puts frequent documents first.
    """
    true = qrels.filter(pl.col("rank").is_not_null())
    return from_scores(true.select("query_id", "doc_id", score="rank"), depth=len(true))


def popularity(
    train_qrels: pl.DataFrame, queries: pl.DataFrame, depth: int = 100, candidates: pl.DataFrame | None = None
) -> pl.DataFrame:
    """For every query the documents that are true for the most training queries, most frequent first."""
    counts = _frequencies(train_qrels).rename({"frequency": "score"})
    if candidates is not None:
        scores = candidates.select("query_id", "doc_id").join(counts, on="doc_id", how="left")
        return from_scores(scores.fill_null(0), depth=depth)
    top = counts.sort("score", "doc_id", descending=[True, False]).head(depth)
    return from_scores(queries.select("query_id").join(top, how="cross"), depth=depth)


def neighbours(
    train_queries: pl.DataFrame,
    train_qrels: pl.DataFrame,
    queries: pl.DataFrame,
    k: int = 10,
    depth: int = 100,
    candidates: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """The vote of the k nearest training queries for the documents of their lists; see `Voters`."""
    return Voters(train_queries, train_qrels, k).vote(queries, depth, candidates)


class Voters:
    """Training queries, the k nearest of which vote: score(d) = sum over neighbours of similarity / rank of d.

    Similarity is the cosine of TF-IDF vectors of the query texts, fitted on the training queries only. k = 1 copies the
    list of the nearest query, in its order. Raises UserError where no training query has a word.
    apart: for queries that are training queries themselves; see `kin`.
    """

    def __init__(self, queries: pl.DataFrame, qrels: pl.DataFrame, k: int = 10, apart: Apart | None = None) -> None:
        self.k, self.kin, self.query_ids = k, kin(qrels, apart), queries["query_id"]
        self.true = qrels.filter(pl.col("rank").is_not_null()).select("query_id", "doc_id", "rank")
        self.vectorizer = TfidfVectorizer(token_pattern=WORD)
        nearest = k + max(self.kin["query_id"].value_counts()["count"].to_list(), default=0)
        self.index = NearestNeighbors(n_neighbors=min(nearest, len(queries)), metric="cosine", algorithm="brute")
        try:
            self.index.fit(self.vectorizer.fit_transform(queries["text"].to_list()))
        except ValueError:
            raise UserError("neighbours: no training query has a word", "give the queries texts") from None

    def vote(self, queries: pl.DataFrame, depth: int = 100, candidates: pl.DataFrame | None = None) -> pl.DataFrame:
        """The run of some queries. A query that shares no word with any training query gets no documents."""
        distance_QK, row_QK = self.index.kneighbors(self.vectorizer.transform(queries["text"].to_list()))
        votes = pl.DataFrame(
            {
                "query_id": queries["query_id"].gather(np.repeat(np.arange(len(queries)), row_QK.shape[1])),
                "neighbour": self.query_ids.gather(row_QK.ravel()),
                "similarity": 1 - distance_QK.ravel(),
            }
        ).filter(pl.col("similarity") > 1e-9)  # rounding gives 1e-16 where no word is shared
        if len(self.kin):
            votes = votes.join(self.kin, on=["query_id", "neighbour"], how="anti", maintain_order="left")
            votes = votes.group_by("query_id", maintain_order=True).head(self.k)
        scores = (
            votes.join(self.true, left_on="neighbour", right_on="query_id")
            .sort("query_id", "doc_id", "neighbour")  # so that sums are always taken in one order
            .group_by("query_id", "doc_id", maintain_order=True)
            .agg(score=(pl.col("similarity") / pl.col("rank")).sum())
        )
        return from_scores(among(scores, candidates), depth=depth)


def kin(train_qrels: pl.DataFrame, apart: Apart | None) -> pl.DataFrame:
    """Pairs of training queries (query_id, neighbour) that must not be neighbours; none without `apart`.

    `query`: a query and itself. `best_document`: queries that share a document at rank 1, as where splits keep such
    queries together; a training query's neighbours are then as far away as a test query's.
    """
    best = train_qrels.filter(pl.col("rank") == 1).select("query_id", "doc_id")
    if apart is None:
        return pl.DataFrame(schema={"query_id": pl.String, "neighbour": pl.String})
    if apart == "query":
        return best.select("query_id", neighbour="query_id").unique()
    return best.join(best.rename({"query_id": "neighbour"}), on="doc_id").select("query_id", "neighbour").unique()


def apart_in(dataset: Dataset) -> Apart:
    """Which kin a training query has, so that its neighbours are as far away as a validation query's.

    `best_document` where the split keeps the queries of one best document together: validation queries share a
    document at rank 1 with a training query less than half as often as training queries do with another. Else `query`.
    """
    best = dataset.qrels.filter(pl.col("rank") == 1).join(dataset.queries.select("query_id", "split"), on="query_id")
    validation, train = (best.filter(split=split) for split in ("validation", "train"))
    shared, repeated = validation.join(train, on="doc_id", how="semi"), train.filter(pl.col("doc_id").is_duplicated())
    if validation.is_empty() or train.is_empty():
        return "query"
    of_validation, of_train = (
        part["query_id"].n_unique() / whole["query_id"].n_unique()
        for part, whole in ((shared, validation), (repeated, train))
    )
    return "best_document" if of_validation < of_train / 2 else "query"


def _frequencies(qrels: pl.DataFrame) -> pl.DataFrame:
    """How many queries have each document as a true one: doc_id, frequency (UInt32)."""
    return qrels.filter(pl.col("rank").is_not_null())["doc_id"].value_counts(name="frequency")
