"""CSV as RFC 4180 has it: what is wrong with a file and in which line. Polars reads the files that pass."""

import re
from pathlib import Path

from arrange.errors import UserError

# No group is possessive: Python before 3.11.5 matches those wrongly (gh-106052).
QUOTED = r'"[^"]*+(?:""[^"]*+)*"(?!")'
FIELD = rf'(?:{QUOTED}|[^",\n]*+)'
END = r"\r?\n"
RECORD = re.compile(rf"{FIELD}(?:,{FIELD})*{END}")
NEXT = re.compile(rf"{FIELD}(,|{END})")
WHOLE_QUOTED = re.compile(QUOTED)
QUOTES = 'put quotes around a text that has a quote in it, and write its own quotes twice: "a 5"" nail"'
COMMAS = 'put quotes around a text that has a comma in it: "red, or blue"'


def normalised(text: str) -> str:
    """The text without blank lines at its ends, and with a newline at the end of each line where it has returns alone.

    >>> normalised("id,text\\ra,red\\r\\r")
    'id,text\\na,red\\n'
    """
    lines = text if "\n" in text else text.replace("\r", "\n")
    return lines.rstrip("\r\n") + "\n"


def check(text: str, path: Path) -> None:
    """Raise a UserError for the first record that isn't as RFC 4180 has it, or has more fields than the header.

    text: as `normalised` returns it. A record with fewer fields is no error: the others are null.
    """
    start = len(text) - len(text.lstrip("\r\n"))
    header = RECORD.match(text, start)
    if header is None:
        raise _error(text, path, start, fields=0)
    fields = sum(1 for _ in _fields(text, start))
    record = re.compile(rf"{FIELD}(?:,{FIELD}){{0,{fields - 1}}}{END}")
    begin = header.end()
    while begin < len(text):
        if (read := record.match(text, begin)) is None:
            raise _error(text, path, begin, fields)
        begin = read.end()


def line(text: str, row: int) -> int:
    """The line, from 1, in which a row (from 0, without the header) begins. `text` passes `check`.

    >>> line('id,text\\na,"two\\nlines"\\nb,one line\\n', 1)
    4
    """
    start = len(text) - len(text.lstrip("\r\n"))
    for _ in range(row + 1):
        record = RECORD.match(text, start)
        assert record is not None, "the text has fewer rows"
        start = record.end()
    return _line(text, start)


def _fields(text: str, start: int) -> list[int]:
    """Where the fields of the record at `start` begin, up to the first that is malformed."""
    begins = [start]
    while (field := NEXT.match(text, begins[-1])) and field[1] == ",":
        begins.append(field.end())
    return begins


def _error(text: str, path: Path, start: int, fields: int) -> UserError:
    """What is wrong with the record at `start`."""
    begins = _fields(text, start)
    last, number = begins[-1], len(begins)
    where = f"{path}, line {_line(text, last)}"
    if NEXT.match(text, last):
        return UserError(f"{where}: {number} fields, and the header has {fields}", COMMAS)
    if text[last] != '"':
        field = text[last:].partition("\n")[0].partition(",")[0].strip()
        return UserError(f"{where}: field {number} has a quote in it and none around it: {field[:40]!r}", QUOTES)
    quoted = WHOLE_QUOTED.match(text, last)
    if quoted is None:
        return UserError(f"{where}: field {number} opens a quote that is never closed", f"close it, or {QUOTES}")
    after = f"in line {_line(text, quoted.end())}" if "\n" in quoted[0] else "there"
    what = f"{where}: field {number} opens a quote, and text follows the quote that closes it {after}"
    return UserError(what, f"close every quote, and {QUOTES}")


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1
