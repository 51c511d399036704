"""BM25: ranking by the words that query and document share, without training."""

import logging

import numpy as np
import polars as pl

from arrange.baselines.scores import Rows, Scores, rank
from arrange.errors import extra
from arrange.tokenization import WORD

with extra("evaluation"):
    import bm25s

log = logging.getLogger(__name__)


def search(
    queries: pl.DataFrame,
    documents: pl.DataFrame,
    *,
    candidates: pl.DataFrame | None = None,
    depth: int = 100,
    k1: float = 1.5,
    b: float = 0.75,
) -> pl.DataFrame:
    """The run of BM25 over the documents' texts, as `bm25s` computes it, in Lucene's form.

        score(q, d) = sum over words t of q:  idf(t) * tf / (tf + k1 (1 - b + b |d| / mean |d|))
        idf(t) = ln(1 + (D - df + 0.5) / (df + 0.5))

    Words are runs of at least two letters or digits, in lower case, without `bm25s`'s English stop words; of Chinese
    and Japanese, every character is a word.
    `queries` has query_id and text, `documents` doc_id and text. Without `candidates` a document that shares no
    word with the query is not in its run; with them (see `arrange.baselines.controls`) it scores 0. If no document has
    a word, that is logged. Robertson and Zaragoza 2009; Lu 2024 (arXiv 2407.03618).
    """
    tokenized = bm25s.tokenize(documents["text"].to_list(), token_pattern=WORD, show_progress=False)
    query_words = bm25s.tokenize(queries["text"].to_list(), token_pattern=WORD, return_ids=False, show_progress=False)
    index = bm25s.BM25(k1=k1, b=b)
    if tokenized.vocab:
        index.index(tokenized, show_progress=False)
    else:
        log.warning("BM25: no document has a word of two letters, so it finds none")
    without_match = -np.inf if candidates is None else 0.0

    def score(query: int, rows_K: Rows) -> Scores:
        if not tokenized.vocab:
            return np.full(len(rows_K), without_match)
        score_K = index.get_scores_from_ids(index.get_tokens_ids(query_words[query]))[rows_K]
        return np.where(score_K > 0, score_K, without_match)

    query_ids, doc_ids = queries["query_id"].to_list(), documents["doc_id"].to_list()
    return rank(query_ids, doc_ids, score, candidates=candidates, depth=depth)
