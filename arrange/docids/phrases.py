"""The shortest phrase of a title that no other title has.

A phrase is words that follow each other. Words are those of BM25 (`arrange.tokenization.TERM`), compared in lower case:
a Chinese or Japanese character is one, and combining marks, which Thai vowels are, belong to the word before them.
D titles, T words of all titles, P places in them where a phrase begins, R different phrases.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from arrange.tokenization import TERM

WORD = re.compile(TERM)
Phrase = tuple[int, str]  # the title's row, and the phrase as it stands there
Ints = NDArray[np.int64]


def words(title: str) -> list[tuple[int, int]]:
    """Where each word of a title begins and ends.

    >>> [title[begin:end] for title in ["red-hot", "กินข้าว"] for begin, end in words(title)]
    ['red', 'hot', 'กิ', 'นข้', 'าว']
    """
    spans = []
    for match in WORD.finditer(title):
        end = match.end()
        while unicodedata.category(title[end : end + 1] or " ").startswith("M"):
            end += 1
        spans.append((match.start(), end))
    return spans


def shortest(
    titles: Sequence[str], rows: Sequence[int], most_words: int, choose: Callable[[list[Phrase]], dict[int, str]]
) -> dict[int, str]:
    """For titles of `rows` the phrase of fewest words, at most `most_words`, that no other title has; by row.

    choose: is given the phrases of one length, those of one title in their order, and returns what it takes for some
    titles. The others are asked for again with the longer phrases; titles with none are left out.

    >>> shortest(["red wool hat", "red wool scarf", "red"], [0, 1, 2], 3, dict)
    {0: 'hat', 1: 'scarf'}
    """
    word_T, title_T = _numbered(titles)
    spans = {row: words(titles[row]) for row in rows}
    first_D, size = np.searchsorted(title_T, np.arange(len(titles))), int(word_T.max(initial=0)) + 1
    wanted_D = np.zeros(len(titles), bool)
    wanted_D[list(rows)] = True
    found: dict[int, str] = {}
    at_P, phrase_P = np.arange(len(word_T)), word_T
    for length in range(1, most_words + 1):
        order_P = np.argsort(phrase_P, kind="stable")  # so titles rise within the places of a phrase
        at_P, phrase_P = at_P[order_P], phrase_P[order_P]
        first_R = np.flatnonzero(np.diff(phrase_P, prepend=-1))
        count_R = np.diff(first_R, append=len(at_P))
        title_P = title_T[at_P]
        alone_R = title_P[first_R] == title_P[first_R + count_R - 1]
        places = np.sort(at_P[first_R[alone_R & wanted_D[title_P[first_R]]]])
        chosen = choose([_spelt(titles, spans, title_T, first_D, place, length) for place in places.tolist()])
        found |= chosen
        wanted_D[list(chosen)] = False
        # What is longer is looked for where a title that still waits has a phrase of this length.
        wanted_R = np.logical_or.reduceat(wanted_D[title_P], first_R) if len(first_R) else alone_R
        number_P = np.repeat(np.arange(len(first_R)), count_R)
        goes_on_P = wanted_R[number_P] & (np.append(title_T, [-1] * length)[at_P + length] == title_P)
        at_P, phrase_P = at_P[goes_on_P], number_P[goes_on_P] * size + word_T[at_P[goes_on_P] + length]
        by_place_P = np.argsort(at_P)
        at_P, phrase_P = at_P[by_place_P], phrase_P[by_place_P]
    return found


def _numbered(titles: Sequence[str]) -> tuple[Ints, Ints]:
    """The number of every word of all titles, in lower case, and its title."""
    numbers: dict[str, int] = {}
    word_D = [
        np.fromiter((numbers.setdefault(title[a:b].lower(), len(numbers)) for a, b in words(title)), np.int64)
        for title in titles
    ]
    return np.concatenate(word_D), np.repeat(np.arange(len(titles)), [len(word) for word in word_D])


def _spelt(
    titles: Sequence[str],
    spans: dict[int, list[tuple[int, int]]],
    title_T: Ints,
    first_D: Ints,
    place: int,
    length: int,
) -> Phrase:
    """The phrase of so many words at a place."""
    row = int(title_T[place])
    first = place - int(first_D[row])
    return row, titles[row][spans[row][first][0] : spans[row][first + length - 1][1]]
