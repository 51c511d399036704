"""Which words a document shares with a query, and where: features for learning to rank (`arrange.baselines.learned`).

BM25 adds all of this up to one number. But where a query begins with the words of a document, or a short document is
in it whole, says more in some data sets than the sum.
"""

import re
from collections.abc import Sequence

import polars as pl

from arrange.tokenization import WORD

FEATURES = {"covered": pl.Float64, "answered": pl.Float64, "first": pl.Float64, "words": pl.Float64}


def matches(pairs: pl.DataFrame, queries: pl.DataFrame, documents: pl.DataFrame) -> pl.DataFrame:
    """A row for each of `pairs` (query_id, doc_id), in their order.

    covered: the share of the document's words that the query has; answered: the share of the query's words that the
    document has; first: where in the query the first of them is, from 0, or null; words: how many the document has.
    """
    places = {query: first_places(text) for query, text in queries.select("query_id", "text").iter_rows()}
    named = documents.select("doc_id", "text").join(pairs, on="doc_id", how="semi")  # of a server's many, a few
    words = {doc: list(first_places(text)) for doc, text in named.iter_rows()}
    rows = [match(places[query], words[doc]) for query, doc in pairs.select("query_id", "doc_id").iter_rows()]
    return pl.DataFrame(rows, FEATURES, orient="row")


def match(places: dict[str, int], words: Sequence[str]) -> tuple[float, float, int | None, int]:
    """FEATURES of a query's words, by their first places, and a document's.

    >>> match({"striped": 0, "hyena": 1}, ["hyena"])
    (1.0, 0.5, 1, 1)
    """
    shared = [places[word] for word in words if word in places]
    covered, answered = (len(shared) / max(size, 1) for size in (len(words), len(places)))
    return covered, answered, min(shared, default=None), len(words)


def first_places(text: str) -> dict[str, int]:
    """The words of a text and where each is first, from 0; without a plural's s.

    >>> first_places("Marine gastropods: a gastropod")
    {'marine': 0, 'gastropod': 1}
    """
    places: dict[str, int] = {}
    for place, word in enumerate(re.findall(WORD, text.lower())):
        places.setdefault(singular(word), place)
    return places


def singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") else word
