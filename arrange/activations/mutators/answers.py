"""Programs from a language model's answers: fenced code, or SEARCH/REPLACE blocks applied to a parent."""

import re
import textwrap
from collections.abc import Iterator

from arrange.activations.programs.check import CHARACTERS
from arrange.activations.search.candidates import Unusable

ANSWER_CHARACTERS = 50_000  # a program has a few hundred
FENCE = re.compile(r"[ \t]*```.*")  # lines; each is read once, so the time grows with the answer's length alone
SEARCH, DIVIDER = re.compile(r"[ \t]*<{5,} ?SEARCH[ \t]*"), re.compile(r"[ \t]*={5,}[ \t]*")
REPLACE = re.compile(r"[ \t]*>{5,} ?REPLACE.*")
FUNCTION = re.compile(r"^def activation\b", re.MULTILINE)


def rewritten(answer: str) -> str:
    """The program in an answer: the last fenced one, or the text from the definition on where nothing is fenced.

    It takes the last one because models often show drafts first. Lines before the definition, such as imports, are
    left out. Raises Unusable where there is no program.
    """
    answer = _bounded(answer)
    blocks = [textwrap.dedent(block) for (block,) in _parts(answer, FENCE, FENCE)] or [answer.partition("```")[0]]
    programs = [block[match.start() :] for block in blocks if (match := FUNCTION.search(block))]
    if not programs:
        raise Unusable("no code")
    return programs[-1].strip() + "\n"


def patched(source: str, answer: str) -> str:
    """`source` with the answer's SEARCH/REPLACE blocks applied in turn; or the whole program that the answer holds.

    Raises Unusable where the source does not have the lines of a block, or becomes longer than any program.

    >>> answer = "<<<<<<< SEARCH\\nreturn x\\n=======\\nreturn -x\\n>>>>>>> REPLACE"
    >>> patched("def activation(x):\\n    return x\\n", answer)
    'def activation(x):\\n    return -x\\n'
    """
    blocks = list(_parts(_bounded(answer), SEARCH, DIVIDER, REPLACE))
    if not blocks:
        return rewritten(answer)
    lines = source.expandtabs(4).splitlines()
    for search, replacement in blocks:
        lines = _replaced(lines, _trimmed(search), _trimmed(replacement))
        if sum(map(len, lines)) + len(lines) > CHARACTERS:  # no program; and indents could grow from block to block
            raise Unusable("too long")
    return "\n".join(lines) + "\n"


def _bounded(answer: str) -> str:
    if len(answer) > ANSWER_CHARACTERS:
        raise Unusable("too long")
    return answer.replace("\r\n", "\n").replace("\r", "\n")


def _parts(text: str, *marks: re.Pattern[str]) -> Iterator[list[str]]:
    """The texts between lines that match the marks in turn; once for each time that all of them were found."""
    parts: list[list[str]] = []
    for line in text.split("\n"):
        if marks[len(parts)].fullmatch(line):
            parts.append([])
        elif parts:
            parts[-1].append(line + "\n")
        if len(parts) == len(marks):
            yield ["".join(part) for part in parts[:-1]]
            parts = []


def _trimmed(block: str) -> list[str]:
    """The block's lines without blank ones at both ends, tabs as spaces."""
    return [line.expandtabs(4) for line in block.strip("\n").splitlines()] if block.strip() else []


def _replaced(lines: list[str], search: list[str], replacement: list[str]) -> list[str]:
    """The lines with the first match of `search` replaced. Space around lines is ignored; indentation is kept."""
    wanted, stripped = [line.strip() for line in search], [line.strip() for line in lines]
    for start in range(len(lines) - len(wanted) + 1) if wanted else ():
        if stripped[start] == wanted[0] and stripped[start : start + len(wanted)] == wanted:
            shift = _indent(lines[start]) - _indent(search[0])
            moved = [" " * (_indent(line) + shift) + line.strip() for line in replacement]
            return lines[:start] + moved + lines[start + len(wanted) :]
    raise Unusable("no such lines")


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
