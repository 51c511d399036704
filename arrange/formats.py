"""How tables and their numbers are written, in pages and on terminals."""

from collections.abc import Iterable, Sequence


def markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown.

    >>> print(markdown(["", "AP"], [["item", "0.500"]]))
    | | AP |
    |---|---|
    | item | 0.500 |
    """
    lines = ["".join(f"| {cell} " if cell else "| " for cell in row) + "|" for row in (columns, *rows)]
    return "\n".join([lines[0], "|---" * len(columns) + "|", *lines[1:]])


def interval(mean: float, low: float, high: float) -> str:
    """A signed mean and its interval.

    >>> interval(0.0312, 0.012, 0.05)
    '+0.031 (+0.012 to +0.050)'
    """
    return f"{mean:+.3f} ({low:+.3f} to {high:+.3f})"


def p_value(p: float) -> str:
    """A p-value: three digits, or that it is below them.

    >>> p_value(0.0386), p_value(0.0004)
    ('0.039', '< 0.001')
    """
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
