"""Where the two ESCI files come from: the official ones, or anybody's in their schema. (esci_sample.py makes its own.)

A source is chosen by name, and when it fails no other takes its place.
"""

import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from arrange.data.download import download
from arrange.data.esci import EXAMPLES, PRODUCTS
from arrange.errors import UserError
from arrange.files import remove, replacing, sha256

log = logging.getLogger(__name__)

FILES = (EXAMPLES, PRODUCTS)


class Official(NamedTuple):
    """What a file of the release is known by."""

    bytes: int
    sha256: str


def from_folder(folder: Path, out: Path, files: Mapping[str, Official] | None = None) -> None:
    """Copy both files of a folder into `out`, whole or not at all.

    With `files` they must be the official ones. Without, they may have any content (`esci.tables` checks the schema),
    and any name in which "examples" or "products" stands, as long as one file of the folder has it.
    Raises UserError when a file is missing, doubtful, not the official one, or can't be copied.
    """
    remedy = f"put {EXAMPLES} and {PRODUCTS} there, or choose another source"
    with replacing(out) as part:
        part.mkdir()
        for name in FILES:
            source = folder / name if files else _one(folder, name, remedy)
            if not source.is_file():
                raise UserError(f"{folder} has no {name}", remedy)
            if files:
                _verify(source, files[name], remedy)
            try:
                shutil.copyfile(source, part / name)
            except OSError as error:
                raise UserError(f"{source} can't be copied to {out}: {error.strerror}", "make room") from None


def from_urls(urls: Sequence[str], out: Path, files: Mapping[str, Official], cache: Path) -> str:
    """Download the official files into `out` from the first address that has them; returns that address.

    An address is what stands before the files' names: that of a folder on a server. Unfinished downloads, and whole
    ones whose partner is missing, wait in `cache`: the next call continues them.
    Raises UserError, with the reason of each address, when none has the right files.
    """
    reasons = []
    for url in urls:
        try:
            for name in FILES:
                _download(f"{url.rstrip('/')}/{name}", cache / name, files[name])
        except UserError as error:
            reasons.append(error.what)
            log.info("ESCI: %s", error.what)
        else:
            with replacing(out) as part:
                part.mkdir()
                for name in FILES:
                    shutil.move(cache / name, part / name)
            return url
    raise UserError(
        f"no address has the ESCI files: {'; '.join(reasons)}",
        "try again (what has come so far is kept), put the files into a folder and name it, or choose the sample",
    )


def _download(url: str, path: Path, official: Official) -> None:
    if not path.exists():
        log.info("ESCI: downloading %s (%.0f MB)", url, official.bytes / 1e6)
        download(url, path)
    try:
        _verify(path, official, "")
    except UserError as error:
        remove(path)
        raise UserError(f"{url}: {error.what.removeprefix(f'{path} ')}", "") from None


def _verify(path: Path, official: Official, remedy: str) -> None:
    """Size first: it costs nothing, and tells a cut file or a pointer of git-lfs."""
    if (size := path.stat().st_size) != official.bytes:
        raise UserError(f"{path} isn't the official file: {size:,} bytes, not {official.bytes:,}", remedy)
    if (found := sha256(path)) != official.sha256:
        raise UserError(f"{path} isn't the official file: its sha256 is {found[:12]}..", remedy)


def _one(folder: Path, name: str, remedy: str) -> Path:
    """The one file of the folder whose name has the same word in it as the official name."""
    word = "examples" if name == EXAMPLES else "products"
    found = sorted(path.name for path in folder.glob(f"*{word}*.parquet"))
    if len(found) > 1 and name not in found:
        raise UserError(f"{folder} has {len(found)} files of {word}: {', '.join(found)}", remedy)
    return folder / (found[0] if len(found) == 1 else name)
