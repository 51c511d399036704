"""Training pairs of the n-gram docIDs: a query, and n-grams of its documents, drawn by how much of the query they have.

SEAL (arXiv 2204.10628) draws the n-grams of a passage with replacement, by the similarity of their first words to the
query. Here the overlap is the share of an n-gram's different tokens that the query has too, and n-gram n is drawn
with a probability of exp(overlap(n, q) / temperature) over the sum of it. An n-gram of a document has its rank.
"""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from arrange.docids.ngrams import NgramIndex
from arrange.docids.tokens import Prompt
from arrange.training.examples import Examples, JudgedList
from arrange.training.packing import docid_tokens

Ints = NDArray[np.int64]


def sampled(
    index: NgramIndex,
    prompts: Sequence[Prompt],
    queries: Sequence[Sequence[int]],
    lists: Sequence[JudgedList],
    *,
    samples: int,
    temperature: float,
    seed: int,
    pad_token_id: int,
) -> Examples:
    """Examples whose docIDs are n-grams: `samples` of every ranked document of each list, with replacement.

    So all documents of a rank have the same weight, however long they are. Unranked documents are left out.
    queries: the tokens of each query's text. lists: rows are those of the index.
    """
    drawn: list[tuple[Ints, NDArray[np.float64]]] = []
    for query, (tokens, (rows_D, ranks_D)) in enumerate(zip(queries, lists, strict=True)):
        rng, known = np.random.default_rng([seed, query]), frozenset(tokens)
        ranked_D = np.flatnonzero(np.isfinite(ranks_D))
        places = [_draw(index, int(rows_D[at]), known, samples, temperature, rng) for at in ranked_D]
        drawn.append((np.concatenate([*places, np.zeros(0, np.int64)]), np.repeat(ranks_D[ranked_D], samples)))
    # an n-gram is a row of the examples' docIDs; of equal ones at two places both are there, and are one leaf
    place_N, row_P = np.unique(np.concatenate([place_P for place_P, _ in drawn]), return_inverse=True)
    ends = np.cumsum([len(place_P) for place_P, _ in drawn])[:-1]
    rows = np.split(row_P, ends)
    return Examples(
        prompts,
        [(row_P, ranks_P) for row_P, (_, ranks_P) in zip(rows, drawn, strict=True)],
        docid_tokens([index.window(place) for place in place_N.tolist()]),
        pad_token_id,
    )


def _draw(
    index: NgramIndex, document: int, known: Collection[int], samples: int, temperature: float, rng: np.random.Generator
) -> Ints:
    """The places of a document at which the drawn n-grams begin."""
    place_W = np.arange(index.begin_D1[document], index.begin_D1[document + 1])
    overlap_W = np.array([overlap(index.window(place), known) for place in place_W.tolist()])
    weight_W = np.exp((overlap_W - overlap_W.max()) / temperature)
    return rng.choice(place_W, samples, p=weight_W / weight_W.sum())


def overlap(ngram: Sequence[int], known: Collection[int]) -> float:
    """The share of an n-gram's different tokens that are known.

    >>> overlap([7, 8, 8, 9], {8, 1})
    0.3333333333333333
    """
    different = set(ngram)
    return sum(token in known for token in different) / len(different)
