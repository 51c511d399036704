"""From n-grams to documents: the intersective score of SEAL (arXiv 2204.10628, section 3).

An n-gram n weighs by how much likelier the query makes it than the corpus does,

    w(n, q) = max(0, log P(n | q) (1 - P(n)) / (P(n) (1 - P(n | q)))),    P(n) = its frequency / places of the corpus,

and a document has the sum, over its n-grams that count, of  w(n, q)^alpha * cover(n). Overlaps count once: n-grams
take their places in the document one after the other, the one of most weight first, from left to right and where no
token is taken yet; one that takes no place does not count. And repetition counts less: cover(n) = 1 - beta + beta *
the share of its different tokens that no n-gram before it has.
"""

import math
from collections.abc import Sequence
from itertools import groupby

import numpy as np

from arrange.decoding.ngrams import Ngram
from arrange.decoding.settings import Intersective
from arrange.docids.ngrams import NgramIndex

ScoredRows = list[tuple[int, float]]  # documents and their scores, best first
CERTAIN = -1e-10  # the largest log P(n | q): with 0 an n-gram would weigh infinitely


def weight(ngram: Ngram, places: int) -> float:
    """w(n, q) in nats, in a corpus of so many places."""
    log_f, log_p = math.log((ngram.end - ngram.first) / places), min(ngram.log_p, CERTAIN)
    return max(0.0, log_p - log_f + math.log1p(-math.exp(log_f)) - math.log1p(-math.exp(log_p)))


def ranked(ngrams: Sequence[Ngram], index: NgramIndex, how: Intersective) -> ScoredRows:
    """The documents by their scores; equal ones by row.

    Documents that have only n-grams more frequent than `how.frequent` are left out, which bounds the work; of the
    others all n-grams count.
    """
    weighed = sorted(((weight(ngram, len(index.place_S)), ngram) for ngram in ngrams), key=lambda w: (-w[0], w[1]))
    weighed = [(value, ngram) for value, ngram in weighed if value > 0]
    places = [np.sort(index.place_S[ngram.first : ngram.end]) for _, ngram in weighed]
    few = [index.documents(place_P) for place_P in places if len(place_P) <= how.frequent]
    wanted = np.unique(np.concatenate([*few, np.zeros(0, np.int64)]))
    number_P = np.repeat(np.arange(len(places)), list(map(len, places)))
    place_P = np.concatenate([*places, np.zeros(0, np.int64)])
    document_P = index.documents(place_P)
    kept_P = np.flatnonzero(np.isin(document_P, wanted))
    kept_P = kept_P[np.argsort(document_P[kept_P], kind="stable")]  # within a document: by weight, then by place
    triples = zip(document_P[kept_P].tolist(), number_P[kept_P].tolist(), place_P[kept_P].tolist(), strict=True)
    scores = [
        (document, _score([(*weighed[number], place) for _, number, place in of_document], how))
        for document, of_document in groupby(triples, key=lambda triple: triple[0])
    ]
    return sorted(scores, key=lambda pair: (-pair[1], pair[0]))


def _score(standing: Sequence[tuple[float, Ngram, int]], how: Intersective) -> float:
    """The score of a document from its n-grams, in order, with their weights and where they stand."""
    taken: set[int] = set()
    covered: set[int] = set()
    score = 0.0
    for (value, ngram), at in groupby(standing, key=lambda each: each[:2]):
        counts = False
        for _, _, place in at:
            span = range(place, place + len(ngram.tokens))
            if taken.isdisjoint(span):
                taken.update(span)
                counts = True
        if counts:
            different = set(ngram.tokens)
            score += value**how.alpha * (1 - how.beta + how.beta * len(different - covered) / len(different))
            covered |= different
    return score
