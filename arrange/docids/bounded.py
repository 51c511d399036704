"""Text docIDs that never run away: none has more tokens than `most_tokens`, the end token included.

First words run away where titles begin alike, and where words aren't split by spaces. Such a docID becomes the shortest
phrase, anywhere in the title, that no other title has. A title without such a phrase keeps its first words, as many
as fit, and all but the first one with these get a number: " (2)".
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from arrange.docids.names import normalised, unique_names
from arrange.docids.phrases import Phrase, shortest, words
from arrange.docids.schemes import Assignment, Text
from arrange.docids.tokens import counts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

Count = Callable[[list[str]], list[int]]  # how many tokens each text has


def bounded(assignment: Assignment, tokenizer: "PreTrainedTokenizerFast") -> tuple[Assignment, dict[str, int]]:
    """The assignment with `text` docIDs of at most `most_tokens`, and what statistics.json says of it.

    over_bound: documents whose first words were too many. suffixed: those of them that got a number. DocIDs within the
    bound stay as they are; so do those of an earlier call when documents were added since. Other schemes stay, too.
    """
    if not isinstance(assignment.scheme, Text):
        return assignment, {}
    room, count = assignment.scheme.most_tokens - 1, partial(counts, tokenizer)  # one for the end token
    docids = [docid for (docid,) in assignment.docids]
    over = [row for row, length in enumerate(count(docids)) if length > room]
    if not over:
        return assignment, {"over_bound": 0, "suffixed": 0}
    titles = normalised(assignment.texts)
    were_numbered = sum(not titles[row].startswith(docids[row]) for row in over)
    taken = {*docids} - {docids[row] for row in over}
    named = shortest(titles, over, room, lambda phrases: _fitting(phrases, room, taken, count))
    rest = [row for row in over if row not in named]
    stems = _stems([titles[row] for row in rest], room, taken, count)
    numbered = unique_names(stems, taken)
    suffixed = sum(name != stem for name, stem in zip(numbered, stems, strict=True))
    named |= dict(zip(rest, numbered, strict=True))
    return replace(
        assignment,
        docids=[(named.get(row, docid),) for row, docid in enumerate(docids)],
        collisions=assignment.collisions - were_numbered + suffixed,
    ), {"over_bound": len(over), "suffixed": suffixed}


def _fitting(phrases: Iterable[Phrase], room: int, taken: set[str], count: Count) -> dict[int, str]:
    """The first phrase of each title that has room and is no other docID; it is taken from now on."""
    phrases = list(phrases)
    chosen: dict[int, str] = {}
    for (row, phrase), length in zip(phrases, count([phrase for _, phrase in phrases]), strict=True):
        if row not in chosen and length <= room and phrase not in taken:
            chosen[row] = phrase
            taken.add(phrase)
    return chosen


def _stems(titles: Sequence[str], room: int, taken: Iterable[str], count: Count) -> list[str]:
    """The first words of each title, or its first letters, that leave room for any number that may be needed."""
    largest = len(titles) + sum(docid.endswith(")") for docid in taken)
    room -= len(f" ({largest})")  # a token or fewer for each
    of_title: dict[str, str] = {}
    for title in titles:
        if title not in of_title:
            ends = [end for _, end in reversed(words(title)[:room])]
            cuts = [title[:end].rstrip() for end in [*ends, *range(room, 0, -1)]]
            lengths = count(cuts)
            of_title[title] = next(cut for cut, length in zip(cuts, lengths, strict=True) if length <= room)
    return [of_title[title] for title in titles]
