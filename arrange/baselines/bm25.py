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
    queries: pl.DataFrame, documents: pl.DataFrame, *, candidates: pl.DataFrame | None = None, depth: int = 100
) -> pl.DataFrame:
    """The run of BM25 over the documents' texts; see `Index`. `documents` has doc_id and text."""
    return Index(documents).search(queries, candidates=candidates, depth=depth)


class Index:
    """The documents' words, which any number of queries may ask for, as `bm25s` counts them, in Lucene's form.

        score(q, d) = sum over words t of q:  idf(t) * tf / (tf + k1 (1 - b + b |d| / mean |d|))
        idf(t) = ln(1 + (D - df + 0.5) / (df + 0.5))

    Words are runs of at least two letters or digits, in lower case, without `bm25s`'s English stop words; of Chinese
    and Japanese, every character is a word. If no document has a word, that is logged. Robertson and Zaragoza 2009; Lu
    2024 (arXiv 2407.03618).
    """

    def __init__(self, documents: pl.DataFrame, *, k1: float = 1.5, b: float = 0.75) -> None:
        self.doc_ids = documents["doc_id"].to_list()
        tokenized = bm25s.tokenize(documents["text"].to_list(), token_pattern=WORD, show_progress=False)
        self.bm25 = bm25s.BM25(k1=k1, b=b) if tokenized.vocab else None
        if self.bm25:
            self.bm25.index(tokenized, show_progress=False)
        else:
            log.warning("BM25: no document has a word of two letters, so it finds none")

    def search(
        self, queries: pl.DataFrame, *, candidates: pl.DataFrame | None = None, depth: int = 100
    ) -> pl.DataFrame:
        """The run of some queries (query_id and text).

        Without `candidates` a document that shares no word with the query is not in its run; with them (see
        `arrange.baselines.controls`) it scores 0.
        """
        words = bm25s.tokenize(queries["text"].to_list(), token_pattern=WORD, return_ids=False, show_progress=False)
        without_match = -np.inf if candidates is None else 0.0

        def score(query: int, rows_K: Rows) -> Scores:
            if not self.bm25:
                return np.full(len(rows_K), without_match)
            score_K = self.bm25.get_scores_from_ids(self.bm25.get_tokens_ids(words[query]))[rows_K]
            return np.where(score_K > 0, score_K, without_match)

        return rank(queries["query_id"].to_list(), self.doc_ids, score, candidates=candidates, depth=depth)
