"""Controls: runs made without a language model. A ranker's numbers say something only beside theirs."""

import numpy as np
import polars as pl
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.neighbors import NearestNeighbors

from arrange.ranking.runs import from_scores


def random_order(qrels: pl.DataFrame, seed: int) -> pl.DataFrame:
    """The true documents of each query in a random order: knows the set, not the order.

    `qrels`: those of the queries to be ranked. Judged negatives are no true documents.
    """
    true = qrels.filter(pl.col("rank").is_not_null()).sort("query_id", "doc_id")
    score_N = np.random.default_rng(seed).random(len(true))
    return from_scores(true.select("query_id", "doc_id", score=pl.Series(score_N)), depth=len(true))


def popularity(train_qrels: pl.DataFrame, queries: pl.DataFrame, depth: int = 100) -> pl.DataFrame:
    """For every query the documents that most training queries have, most frequent first."""
    counts = train_qrels.filter(pl.col("rank").is_not_null())["doc_id"].value_counts(name="score")
    top = counts.sort("score", "doc_id", descending=[True, False]).head(depth + 1)  # one may be the query's own
    return from_scores(queries.select("query_id").join(top, how="cross"), depth=depth)


def neighbours(
    train_queries: pl.DataFrame,
    train_qrels: pl.DataFrame,
    queries: pl.DataFrame,
    k: int = 10,
    depth: int = 100,
) -> pl.DataFrame:
    """The vote of the k nearest training queries: score(d) = sum over neighbours of similarity / rank of d.

    Similarity is the cosine of TF-IDF vectors of the query texts, fitted on the training queries only.
    Neighbours that share no word do not vote. A query with none gets no documents.
    """
    vectorizer = TfidfVectorizer()
    index = NearestNeighbors(n_neighbors=min(k, len(train_queries)), metric="cosine", algorithm="brute")
    index.fit(vectorizer.fit_transform(train_queries["text"].to_list()))
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
    return from_scores(scores, depth=depth)
