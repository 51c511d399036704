"""How tables and their numbers are written, on pages and on terminals."""

from collections.abc import Collection, Iterable, Sequence


def markdown(columns: Sequence[str], rows: Iterable[Sequence[str]], left: Collection[int] = ()) -> str:
    """A table in Markdown. `left` has the numbers of columns that hold text, which is aligned to the left.

    >>> print(markdown(["", "AP"], [["item", "0.500"]]))
    | | AP |
    |---|---|
    | item | 0.500 |
    """
    lines = ["".join(f"| {cell} " if cell else "| " for cell in row) + "|" for row in (columns, *rows)]
    rule = "".join("|:---" if number in left else "|---" for number in range(len(columns))) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def interval(mean: float, low: float, high: float) -> str:
    """A signed mean and its interval.

    >>> interval(0.0312, 0.012, 0.05)
    '+0.031 (+0.012 to +0.050)'
    """
    return f"{mean:+.3f} ({low:+.3f} to {high:+.3f})"


def p_value(p: float) -> str:
    """A p-value with three digits; a smaller one is called so.

    >>> p_value(0.0386), p_value(0.0004)
    ('0.039', '< 0.001')
    """
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
