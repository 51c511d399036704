"""DocIDs of code tokens: a path, which documents may share, and a serial number, which tells them apart.

The code c of level 0, 1, .. is the token <a_c>, <b_c>, ..; a digit c of the serial number is <n_c>. So (3, 17) with
serial number 5 is <a_3> <b_17> <n_5>. The tokens are fixed once, also for documents that come later.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from arrange.errors import UserError

LEVELS = "abcdefghijklm"
SERIAL = "<n_"

Docid = tuple[str, ...]  # pieces: code tokens, or texts that the tokenizer splits further


def vocabulary(levels: int, size: int, digits: int) -> list[str]:
    """All code tokens of `levels` levels of `size` codes each, and of serial numbers in base `digits`.

    Raises UserError for more levels than there are letters.

    >>> vocabulary(2, 2, 2)
    ['<a_0>', '<a_1>', '<b_0>', '<b_1>', '<n_0>', '<n_1>']
    """
    if levels > len(LEVELS):
        raise UserError(f"codes of {levels} levels", f"give at most {len(LEVELS)}")
    paths = [f"<{level}_{code}>" for level in LEVELS[:levels] for code in range(size)]
    return paths + [f"{SERIAL}{digit}>" for digit in range(digits)]


def tokens(path: Iterable[int]) -> Docid:
    """The tokens of a path: one per level.

    >>> tokens([3, 17])
    ('<a_3>', '<b_17>')
    """
    return tuple(f"<{level}_{code}>" for level, code in zip(LEVELS, path, strict=False))


def numbered(paths: Iterable[Docid], digits: int, old: Iterable[Docid] = ()) -> list[Docid]:
    """Add to each path its serial number: how many documents before it have the path, those of `old` first.

    A serial number is written in base `digits` (2 or more), so it is one token for the first `digits` documents of
    a path and has no end.

    >>> numbered([("<a_3>",), ("<a_3>",), ("<a_0>",)], digits=10)
    [('<a_3>', '<n_0>'), ('<a_3>', '<n_1>'), ('<a_0>', '<n_0>')]
    """
    count = Counter(map(path_of, old))
    docids = []
    for path in paths:
        docids.append((*path, *_serial(count[path], digits)))
        count[path] += 1
    return docids


def path_of(docid: Docid) -> Docid:
    """A docID without its serial number."""
    return tuple(piece for piece in docid if not piece.startswith(SERIAL))


def _serial(number: int, digits: int) -> list[str]:
    before = _serial(number // digits, digits) if number >= digits else []
    return [*before, f"{SERIAL}{number % digits}>"]


def by_level(docids: Sequence[Docid]) -> dict[str, list[float]]:
    """How the codes of each level are used: how many are, their perplexity, and how many documents collide so far.

    Perplexity is exp of the entropy: of equally used codes their number. A document collides where an earlier one has
    the same codes up to this level. Empty for docIDs that are no codes.

    >>> by_level([("<a_0>", "<b_0>"), ("<a_0>", "<b_1>"), ("<a_1>", "<b_0>"), ("<a_1>", "<b_0>")])
    {'codes_used_by_level': [2, 2], 'perplexity_by_level': [2.0, 1.75], 'collisions_by_level': [2, 1]}
    """
    used: list[float] = []
    perplexity: list[float] = []
    collisions: list[float] = []
    for level, letter in enumerate(LEVELS):
        reached = [docid for docid in docids if len(docid) > level and docid[level].startswith(f"<{letter}_")]
        if not reached:
            break
        count = Counter(docid[level] for docid in reached)
        entropy = -sum(n / len(reached) * math.log(n / len(reached)) for n in count.values())
        used.append(len(count))
        perplexity.append(round(math.exp(entropy), 2))
        collisions.append(len(reached) - len({docid[: level + 1] for docid in reached}))
    names = ("codes_used_by_level", "perplexity_by_level", "collisions_by_level")
    return dict(zip(names, (used, perplexity, collisions), strict=True)) if used else {}
