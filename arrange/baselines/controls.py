"""Controls: runs made without a language model. A ranker's numbers say something only beside theirs.

`candidates`, here and in `arrange.baselines`, is a table of query_id and doc_id: where it is given, a query's
run ranks its candidates alone, and all of them (the in-context regime; pass the qrels to rank judged lists).
"""

import numpy as np
import polars as pl
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.neighbors import NearestNeighbors

from arrange.errors import UserError
from arrange.evaluation.runs import SCHEMA, from_scores
from arrange.tokenization import WORD


def among(scores: pl.DataFrame, candidates: pl.DataFrame | None) -> pl.DataFrame:
    """A table of query_id, doc_id, score for the candidates alone; one that has no score gets 0.

    Without candidates, the scores as they are.
    """
    if candidates is None:
        return scores
    pairs = candidates.select("query_id", "doc_id")
    return pairs.join(scores, on=["query_id", "doc_id"], how="left").with_columns(pl.col("score").fill_null(0))


def random_order(qrels: pl.DataFrame, seed: int) -> pl.DataFrame:
    """The true documents of each query in a random order: knows the set, not the order.

    `qrels`: those of the queries to be ranked. Judged negatives are no true documents.
    """
    true = qrels.filter(pl.col("rank").is_not_null()).sort("query_id", "doc_id")
    score_N = np.random.default_rng(seed).random(len(true))
    return from_scores(true.select("query_id", "doc_id", score=pl.Series(score_N)), depth=len(true))


def root_first(qrels: pl.DataFrame) -> pl.DataFrame:
    """The true documents of each query from the last rank to the first, the root of a hierarchy on top.

    Knows the set and orders it the wrong way round, as a ranker does that puts what is frequent first.
    """
    true = qrels.filter(pl.col("rank").is_not_null())
    return from_scores(true.select("query_id", "doc_id", score="rank"), depth=len(true))


def popularity(
    train_qrels: pl.DataFrame, queries: pl.DataFrame, depth: int = 100, candidates: pl.DataFrame | None = None
) -> pl.DataFrame:
    """For every query the documents that most training queries have, most frequent first."""
    counts = _frequencies(train_qrels).rename({"frequency": "score"})
    if candidates is not None:
        scores = candidates.select("query_id", "doc_id").join(counts, on="doc_id", how="left")
        return from_scores(scores.fill_null(0), depth=depth)
    top = counts.sort("score", "doc_id", descending=[True, False]).head(depth + 1)  # one may be the query's own
    return from_scores(queries.select("query_id").join(top, how="cross"), depth=depth)


def neighbours(
    train_queries: pl.DataFrame,
    train_qrels: pl.DataFrame,
    queries: pl.DataFrame,
    k: int = 10,
    depth: int = 100,
    candidates: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """The vote of the k nearest training queries: score(d) = sum over neighbours of similarity / rank of d.

    Similarity is the cosine of TF-IDF vectors of the query texts, fitted on the training queries only.
    Neighbours that share no word do not vote. A query with none gets no documents. k = 1 copies the list of
    the nearest one, in its order. Raises UserError where no training query has a word.
    """
    vectorizer = TfidfVectorizer(token_pattern=WORD)
    index = NearestNeighbors(n_neighbors=min(k, len(train_queries)), metric="cosine", algorithm="brute")
    try:
        index.fit(vectorizer.fit_transform(train_queries["text"].to_list()))
    except ValueError:
        raise UserError("neighbours: no training query has a word", "give the queries texts") from None
    distance_QK, row_QK = index.kneighbors(vectorizer.transform(queries["text"].to_list()))
    votes = pl.DataFrame(
        {
            "query_id": queries["query_id"].gather(np.repeat(np.arange(len(queries)), row_QK.shape[1])),
            "neighbour": train_queries["query_id"].gather(row_QK.ravel()),
            "similarity": 1 - distance_QK.ravel(),
        }
    ).filter(pl.col("similarity") > 1e-9)  # rounding leaves 1e-16 where no word is shared
    scores = (
        votes.join(train_qrels.filter(pl.col("rank").is_not_null()), left_on="neighbour", right_on="query_id")
        .sort("query_id", "doc_id", "neighbour")  # one order of summation
        .group_by("query_id", "doc_id", maintain_order=True)
        .agg(score=(pl.col("similarity") / pl.col("rank")).sum())
    )
    return from_scores(among(scores, candidates), depth=depth)


def static_prior(run: pl.DataFrame, train_qrels: pl.DataFrame, depth: int = 10) -> pl.DataFrame:
    """A run whose first `depth` documents are put in one order for all queries: rarer in training first.

    On WordNet that order alone is nearly the true one, so that a ranker whose order is worse than its
    own set in this order has learnt the set only. Equally frequent documents keep the run's order, as does
    what comes after `depth`; scores are -1, -2, -3 ..
    """
    frequency = pl.when(pl.col("rank") <= depth).then(pl.col("frequency").fill_null(0)).otherwise(None)
    return (
        run.join(_frequencies(train_qrels), on="doc_id", how="left")
        .sort("query_id", frequency, "rank", nulls_last=True)
        .with_columns(rank=pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over("query_id"))
        .with_columns(score=-pl.col("rank"))
        .select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())
    )


def _frequencies(qrels: pl.DataFrame) -> pl.DataFrame:
    """How many queries have each document as a true one: doc_id, frequency (UInt32)."""
    return qrels.filter(pl.col("rank").is_not_null())["doc_id"].value_counts(name="frequency")
