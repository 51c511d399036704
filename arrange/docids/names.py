"""Names for documents: the text itself, made unique only where it must be."""

from arrange.errors import UserError


def unique_names(texts: list[str]) -> list[str]:
    """Give each text a name of its own: the first keeps its text, later ones get " (2)", " (3)", ...

    White space is normalised first. A number is skipped where it would make another document's
    text. Raises UserError, naming the row, for a text without a visible character.

    >>> unique_names(["bank", "bank", "bank (2)", "river  bank"])
    ['bank', 'bank (3)', 'bank (2)', 'river bank']
    """
    plain = [" ".join(text.split()) for text in texts]
    if "" in plain:
        raise UserError(f"documents, row {plain.index('')}: the text is empty", "give every document a text")
    taken = set(plain)
    count: dict[str, int] = {}
    names = []
    for text in plain:
        name = text
        count[text] = count.get(text, 0) + 1
        while count[text] > 1 and (name := f"{text} ({count[text]})") in taken:
            count[text] += 1
        taken.add(name)
        names.append(name)
    return names
