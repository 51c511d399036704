"""Examples made of a document's own words: its text, its first words, pieces of it, its most telling words.

What a document gets follows from the seed, its id and its text; keywords also follow from how many documents have a
word. So most examples stay as they are when documents are added.
"""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import polars as pl

from arrange.tokenization import CHARACTERS, WORD

PIECE = re.compile(rf"[{CHARACTERS}]|[^\s{CHARACTERS}]+")  # a word, or a Chinese or Japanese sign
TERM = re.compile(WORD)
TITLE = (3, 6)  # words of a title, of a span, of keywords: least and most
SPAN = (2, 8)
KEYWORDS = (2, 4)
MADE = pl.Schema(dict.fromkeys(("text", "doc_id", "origin"), pl.String()))


def make(documents: pl.DataFrame, counts: dict[str, int], words: int, seed: int) -> pl.DataFrame:
    """Examples of documents (doc_id, text): text, doc_id, origin; no two are equal. Texts are in lower case.

    counts: how many of `document`, `titles`, `spans` and `keywords` each document gets, or fewer where it has too few
    words. words: where the text of `document` is cut.

    >>> shoes = pl.DataFrame({"doc_id": ["a"], "text": ["Red running shoes"]})
    >>> make(shoes, {"document": 1, "titles": 0, "spans": 0, "keywords": 0}, words=2, seed=1).rows()
    [('red running', 'a', 'document')]
    """
    frequent = _frequencies(documents["text"])
    kinds: dict[str, Callable[[str, np.random.Generator], str]] = {
        "document": lambda text, _: _cut(text, 0, words),
        "titles": lambda text, rng: _cut(text, 0, _length(TITLE, rng)),
        "spans": _span,
        "keywords": lambda text, rng: _keywords(text, frequent, documents.height, rng),
    }
    rows = (
        (made, doc_id, origin)
        for doc_id, text in documents.select("doc_id", "text").rows()
        for origin, make_one in kinds.items()
        for made in _distinct(make_one, text.lower(), counts[origin], _generator(seed, origin, doc_id))
    )
    return pl.DataFrame(rows, MADE, orient="row").unique(["text", "doc_id"], keep="first", maintain_order=True)


def _generator(seed: int, origin: str, doc_id: str) -> np.random.Generator:
    return np.random.default_rng(list(hashlib.sha256(f"{seed} {origin} {doc_id}".encode()).digest()))


def _distinct(
    make_one: Callable[[str, np.random.Generator], str], text: str, count: int, rng: np.random.Generator
) -> Iterator[str]:
    """At most `count` different texts; a text of few words has no more after some attempts."""
    made = dict.fromkeys(make_one(text, rng) for _ in range(2 * count))
    yield from [one for one in made if one][:count]


def _length(bounds: tuple[int, int], rng: np.random.Generator) -> int:
    return int(rng.integers(bounds[0], bounds[1] + 1))


def _cut(text: str, start: int, words: int) -> str:
    """The text from its word `start` on, `words` words long, as it is written."""
    places = [match.span() for match in PIECE.finditer(text)][start : start + words]
    return text[places[0][0] : places[-1][1]] if places else ""


def _span(text: str, rng: np.random.Generator) -> str:
    size, words = len(PIECE.findall(text)), _length(SPAN, rng)
    return _cut(text, int(rng.integers(max(size - words, 0) + 1)), words)


def _frequencies(texts: Iterable[str]) -> Counter[str]:
    """In how many documents a word is."""
    return Counter(word for text in texts for word in set(TERM.findall(text.lower())))


def _keywords(text: str, frequent: Counter[str], documents: int, rng: np.random.Generator) -> str:
    """Words drawn by tf * idf without replacement. Those of this document alone are left out: nobody asks for them."""
    count = Counter(word for word in TERM.findall(text) if frequent[word] > 1)
    telling = {word: (1 + math.log(tf)) * math.log(1 + documents / frequent[word]) for word, tf in count.items()}
    if not telling:
        return ""
    weight_W = np.array(list(telling.values()))
    size = min(_length(KEYWORDS, rng), len(telling))
    return " ".join(rng.choice(list(telling), size, replace=False, p=weight_W / weight_W.sum()))
