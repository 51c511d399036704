"""Files that are either whole or not there, and text that comes from outside."""

import gzip
import hashlib
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from arrange.errors import UserError

OTHER_ENCODINGS = {  # by the bytes that a file begins with; the longer first
    b"\xff\xfe\0\0": "UTF-32",
    b"\0\0\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
SAVE = "save the file as UTF-8"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; rename it to `path` when the block ends well.

    The block writes a file or a folder there. When it raises, what it wrote is removed and an older `path`
    stays as it was. What a killed process left under the temporary name is removed by the next one.

    >>> with replacing(Path("table.csv")) as part:  # doctest: +SKIP
    ...     part.write_text("a,b")
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    remove(part)
    try:
        yield part
        if part.is_dir():
            remove(path)
        part.replace(path)
    finally:
        remove(part)


def remove(path: Path) -> None:
    """Remove a file or a whole folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_text(path: Path) -> str:
    """The text of a file in UTF-8 (of what is in it, if it ends in .gz), without a byte order mark.

    Line ends stay as they are.

    Raises UserError, which names the line, for a file in another encoding and for one that can't be read.
    """
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path} can't be read: {error}", "compress the file again with gzip") from None
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror}", "give a file that you may read") from None
    for mark, encoding in OTHER_ENCODINGS.items():
        if content.startswith(mark):
            raise UserError(f"{path} is in {encoding}", SAVE)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        byte = error.object[error.start]
        raise UserError(f"{path}, line {line}: the byte 0x{byte:02x} isn't UTF-8", SAVE) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UserError(f"{path}, line {line}: it has a character NUL: it is UTF-16, or no text", SAVE)
    return text


def check_text(text: str, what: str) -> None:
    """Raise a UserError for text with a lone surrogate, which UTF-8 can't hold. `what` says whose text it is.

    Python makes lone surrogates of an argument of the command line that isn't UTF-8.

    >>> check_text("café", "the query")
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UserError(f"{what} isn't UTF-8: {text[:40]!a}", "write it in UTF-8") from None
