"""Names for documents: the text itself or its first words, with a number only where another document has the same."""

from collections.abc import Iterable, Sequence

import polars as pl

from arrange.errors import UserError


def unique_names(texts: Sequence[str], used: Iterable[str] = ()) -> list[str]:
    """Give each text a unique name: of equal texts the first keeps its text, later ones get " (2)", " (3)", ...

    White space is normalised first. A number is skipped if the name would equal another document's text or a name in
    `used`. Raises UserError, naming the row, for a text without a visible character.

    >>> unique_names(["bank", "bank", "bank (2)", "river  bank"])
    ['bank', 'bank (3)', 'bank (2)', 'river bank']
    >>> unique_names(["bank", "shore"], used=["bank", "bank (2)"])
    ['bank (3)', 'shore']
    """
    plain = normalised(texts)
    count = dict.fromkeys(used, 1)
    taken = {*plain, *count}
    names = []
    for text in plain:
        name = text
        count[text] = count.get(text, 0) + 1
        while count[text] > 1 and (name := f"{text} ({count[text]})") in taken:
            count[text] += 1
        taken.add(name)
        names.append(name)
    return names


def shorten(
    texts: Sequence[str], least_words: int, others: Sequence[str] = (), most_words: int | None = None
) -> list[str]:
    """Cut each text to its fewest first words, `least_words` or more, with which no different text begins.

    A text that is the beginning of another one stays whole, and equal texts are cut alike. `others` are further texts
    to be distinct from; they aren't cut. With `most_words` none is longer, and texts that begin alike so far are cut
    alike. Raises UserError as `unique_names`.

    >>> shorten(["red wool hat", "red wool scarf", "red shoe", "blue", "blue sock"], least_words=1)
    ['red wool hat', 'red wool scarf', 'red shoe', 'blue', 'blue sock']
    >>> shorten(["red wool hat", "green wool scarf"], least_words=1)
    ['red', 'green']
    """
    plain = normalised(texts)
    both = pl.DataFrame({"text": [*plain, *normalised(others)]}, schema={"text": pl.String})
    rest = both.unique().with_columns(words=pl.col("text").str.split(" "))
    short: dict[str, str] = {}
    length = least_words if most_words is None else min(least_words, most_words)
    while len(rest):  # a pass for each word, over the texts that still share their beginning
        rest = rest.with_columns(start=pl.col("words").list.head(length).list.join(" "))
        alone = pl.col("start").is_unique() | (pl.col("words").list.len() <= length) | (length == most_words)
        short.update(rest.filter(alone).select("text", "start").iter_rows())
        rest = rest.filter(~alone)
        length += 1
    return [short[text] for text in plain]


def normalised(texts: Sequence[str]) -> list[str]:
    """The texts with their words one space apart. Raises UserError as `unique_names`."""
    plain = [" ".join(text.split()) for text in texts]
    if "" in plain:
        raise UserError(f"documents, row {plain.index('')}: the text is empty", "give every document a text")
    return plain
