"""Learned words: a small model picks a few words of the corpus for each document, one after the other.

The docIDs of GLEN (Lee et al. 2023, arXiv 2311.03057). `arrange.docids.lexical_training` trains the model; here it
names documents, in numpy, so that documents that come later need no torch. The model reads a text as the TF-IDF weights
of V words and picks the word with the highest score:

    x = sum of the text's embeddings + one of the place + those of the docID's words before it
    scores of the words = embeddings @ (x + inner layer(x)) + bias

GLEN lets documents share a docID and orders them by their scores. A trie needs a docID for each, so the later document
takes its next best last word. Words of training queries are read, too, but docIDs are made of documents' words.
N words of a docID, H hidden numbers. scikit-learn and scipy, slow to import, are imported where they are used.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from arrange.docids.judged import Judged
from arrange.errors import UserError
from arrange.models.vectors import Floats
from arrange.tokenization import TERM

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import TfidfVectorizer

OF_QUERIES = 1e-3  # the weight of queries' words among keywords: they follow the document's own
CHUNK = 1000  # documents that are named at once

Arrays = dict[str, NDArray]


@threadpool_limits.wrap(limits=1)  # sums in one order
def fit(texts: Sequence[str], judged: Judged | None, words: int, vocabulary: int, steps: int, seed: int) -> Arrays:
    """The vocabulary and the trained model, by name.

    words: of a docID, or as many as all documents have. vocabulary: the most frequent words of documents and training
    queries that the model knows. steps: of each phase; without `judged` there is no second one.
    English stop words are left out, unless documents have no other ones. Same texts, judgements and seed: same numbers.
    Raises UserError where documents have no word of the vocabulary.
    """
    from arrange.docids import lexical_training  # here: it imports torch

    judged = judged if judged and len(judged.query_P) else None
    counter, weights_DV = _counted(texts, judged.texts if judged else [], vocabulary)
    in_documents_V = np.asarray(weights_DV.sum(axis=0) > 0).ravel()
    weights_QV, more_DV = weights_DV[:0], weights_DV
    if judged:
        weights_QV = counter.transform(judged.texts)
        more_DV = weights_DV + OF_QUERIES * _of_queries(judged, weights_QV, in_documents_V, len(texts))
    keywords_DN = keywords(more_DV, min(words, int(in_documents_V.sum())))
    arrays = {
        "terms": np.frombuffer("\n".join(counter.get_feature_names_out()).encode(), np.uint8),
        "idf_V": counter.idf_,
        "in_documents_V": in_documents_V,
    }
    return arrays | lexical_training.train(weights_DV, keywords_DN, weights_QV, judged, in_documents_V, steps, seed)


def _counted(texts: Sequence[str], queries: Sequence[str], vocabulary: int) -> tuple["TfidfVectorizer", "csr_matrix"]:
    """What weighs the words of the vocabulary, and the documents' weights, D x V."""
    for stop_words in ("english", None):
        with suppress(ValueError):  # there is no word at all
            counter = _counter(max_features=vocabulary, stop_words=stop_words).fit([*texts, *queries])
            if (weights_DV := counter.transform(texts)).nnz:
                return counter, weights_DV
    what = f"docIDs 'lexical': no document has one of the {vocabulary} most frequent words"
    raise UserError(what, "give the documents texts, or the scheme a larger vocabulary")


def keywords(weights_DV: "csr_matrix", words: int) -> NDArray[np.int64]:
    """The words of each document by falling weight, of equal ones the first term first, D x N; -1 where it has fewer.

    >>> from scipy.sparse import csr_matrix
    >>> keywords(csr_matrix([[0.0, 0.2, 0.9], [0.0, 0.5, 0.0]]), words=2).tolist()
    [[2, 1], [1, -1]]
    """
    keywords_DN = np.full((weights_DV.shape[0], words), -1)
    for row in range(weights_DV.shape[0]):
        some = slice(weights_DV.indptr[row], weights_DV.indptr[row + 1])
        by_weight = np.lexsort((weights_DV.indices[some], -weights_DV.data[some]))
        best = weights_DV.indices[some][by_weight][:words]
        keywords_DN[row, : len(best)] = best
    return keywords_DN


def _of_queries(
    judged: Judged, weights_QV: "csr_matrix", in_documents_V: NDArray[np.bool_], documents: int
) -> "csr_matrix":
    """The mean weights of each document's training queries, D x V, at words that occur in documents."""
    from scipy.sparse import csr_matrix

    pairs = np.ones(len(judged.query_P), np.float32), (judged.document_P, judged.query_P)
    is_judged_DQ = csr_matrix(pairs, (documents, len(judged.texts)))
    count_D1 = np.maximum(is_judged_DQ.sum(axis=1), 1)
    return (is_judged_DQ @ weights_QV).multiply(1 / count_D1).multiply(in_documents_V).tocsr()


@threadpool_limits.wrap(limits=1)
def encode(arrays: Arrays, texts: Sequence[str], used: Iterable[str]) -> tuple[list[str], int]:
    """A name of N words for each text, none of them in `used` or given twice, and how many took another last word.

    A name has no word twice. Where every last word is taken, the best name comes back, although it is taken.
    """
    terms = arrays["terms"].tobytes().decode().split("\n")
    counter = _counter(vocabulary=terms)
    counter.idf_ = arrays["idf_V"]
    taken, names, moved = set(used), [], 0
    for start in range(0, len(texts), CHUNK):
        paths_DN, scores_DV = _paths(arrays, counter.transform(texts[start : start + CHUNK]).toarray())
        for path_N, scores_V in zip(paths_DN.tolist(), scores_DV, strict=True):
            best = " ".join(terms[word] for word in path_N)
            name = best if best not in taken else _next_best(path_N, scores_V, terms, taken) or best
            moved += name != best
            taken.add(name)
            names.append(name)
    return names, moved


def _paths(arrays: Arrays, weights_DV: Floats) -> tuple[NDArray[np.int64], Floats]:
    """The best word at every place given those before it, D x N, and the scores of the last one, D x V."""
    embedding_VH, previous_VH = arrays["embedding_VH"], arrays["previous_VH"]
    state_DH, words = weights_DV.astype(np.float32) @ embedding_VH, []
    closed_DV = np.repeat(~arrays["in_documents_V"][None], len(weights_DV), axis=0)
    for place_H in arrays["place_NH"]:
        x_DH = state_DH + place_H
        inner_DH = np.maximum(x_DH @ arrays["inner_HH"].T + arrays["inner_H"], 0)
        hidden_DH = x_DH + inner_DH @ arrays["outer_HH"].T + arrays["outer_H"]
        scores_DV = hidden_DH @ embedding_VH.T + arrays["bias_V"]
        scores_DV[closed_DV] = -np.inf
        words.append(scores_DV.argmax(axis=1))
        closed_DV[np.arange(len(closed_DV)), words[-1]] = True
        state_DH = state_DH + previous_VH[words[-1]]
    return np.stack(words, axis=1), scores_DV


def _next_best(path_N: list[int], scores_V: Floats, terms: Sequence[str], taken: set[str]) -> str | None:
    """The name with the best last word that makes one that isn't taken, if there is one."""
    start = [terms[word] for word in path_N[:-1]]
    for word in np.argsort(-scores_V, kind="stable"):
        if scores_V[word] == -np.inf:
            return None
        if (name := " ".join([*start, terms[word]])) not in taken:
            return name
    return None


def _counter(**options: object) -> "TfidfVectorizer":
    from sklearn.feature_extraction.text import TfidfVectorizer  # here: see the top

    return TfidfVectorizer(token_pattern=TERM, sublinear_tf=True, dtype=np.float32, **options)
