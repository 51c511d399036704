"""Where the two ESCI files come from: a generated sample, the official files, or other files in their schema.

A source is chosen by name. When it fails, no other one is tried.
"""

import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Le

from arrange.bounds import Count, Seed
from arrange.data.esci_files import EXAMPLES, ORIGIN, OWN, PRODUCTS
from arrange.errors import UserError
from arrange.files import remove, replacing, sha256

log = logging.getLogger(__name__)

FILES = (EXAMPLES, PRODUCTS)


@dataclass(frozen=True)
class Official:
    """Size and checksum of a file of the release."""

    bytes: Count
    sha256: str


@dataclass(frozen=True, kw_only=True)
class DownloadEsci:
    """Settings: which ESCI files to get.

    source: "sample" (generated: `products` and `seed` of `esci_sample.write`), "official" (from `folder`, or if that is
        empty from `urls`; they must be as `files` says) or "path" (any files in the schema, from `folder`).
    """

    source: Literal["sample", "path", "official"]
    folder: str
    urls: tuple[str, ...]
    files: dict[str, Official]
    products: Annotated[int, Ge(200), Le(2_000_000)]
    seed: Seed

    def __post_init__(self) -> None:
        if self.source == "path" and not self.folder:
            raise ValueError("source is path, and folder is empty; name the folder")
        if missing := [name for name in FILES if name not in self.files]:
            raise ValueError(f"files lacks {missing[0]}; give its bytes and sha256")


def get(settings: DownloadEsci, folder: Path, out: Path, cache: Path) -> tuple[str, str]:
    """Put the two files into the folder `out`, and beside them origin.json, which says what they are.

    folder: `settings.folder` as a path from here. cache: where unfinished downloads wait.
    Returns what to call numbers from the files, and the address that they were downloaded from ("" if they weren't).
    Raises UserError where the source lacks the files.
    """
    name, url = "ESCI", ""
    if settings.source == "sample":
        from arrange.data import esci_sample  # here: pyarrow takes a while to import

        name = f"sample of {settings.products:,} generated products (no ESCI score)"
        esci_sample.write(out, settings.products, settings.seed)
    elif settings.source == "path":
        name = OWN
        from_folder(folder, out)
    elif settings.folder:
        from_folder(folder, out, settings.files)
    else:
        url = from_urls(settings.urls, out, settings.files, cache)
    (out / ORIGIN).write_text(json.dumps({"name": name}))
    return name, url


def from_folder(folder: Path, out: Path, files: Mapping[str, Official] | None = None) -> None:
    """Copy both files of a folder into `out`, whole or not at all.

    With `files` they must be the official ones. Without, they may have any content (`esci.tables` checks the schema)
    and any name with "examples" or "products" in it, as long as only one file of the folder has such a name.
    Raises UserError when a file is missing, ambiguous, not the official one, or can't be copied.
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

    An address is that of a folder on a server, to which the files' names are added. Unfinished downloads, and whole
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
        "try again (the bytes received so far are kept), put the files into a folder and name it, or choose the sample",
    )


def _download(url: str, path: Path, official: Official) -> None:
    if not path.exists():
        from arrange.data.download import download  # here: requests takes a while to import

        log.info("ESCI: downloading %s (%.0f MB)", url, official.bytes / 1e6)
        download(url, path)
    try:
        _verify(path, official, "")
    except UserError as error:
        remove(path)
        raise UserError(f"{url}: {error.what.removeprefix(f'{path} ')}", "") from None


def _verify(path: Path, official: Official, remedy: str) -> None:
    """Raise UserError unless the file is the official one. The size is compared first: that is quick, and finds cut
    files and pointers of git-lfs."""
    if (size := path.stat().st_size) != official.bytes:
        raise UserError(f"{path} isn't the official file: {size:,} bytes, not {official.bytes:,}", remedy)
    if (digest := sha256(path)) != official.sha256:
        raise UserError(f"{path} isn't the official file: its sha256 is {digest[:12]}..", remedy)


def _one(folder: Path, name: str, remedy: str) -> Path:
    """The one file of the folder whose name has the same word in it as the official name."""
    word = "examples" if name == EXAMPLES else "products"
    names = sorted(path.name for path in folder.glob(f"*{word}*.parquet"))
    if len(names) > 1 and name not in names:
        raise UserError(f"{folder} has {len(names)} files of {word}: {', '.join(names)}", remedy)
    return folder / (names[0] if len(names) == 1 else name)
