"""Where the WordNet noun files come from: the first of several sources that has the right ones."""

import logging
import os
import shutil
import subprocess
import tarfile
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from arrange.errors import UserError
from arrange.files import replacing
from arrange.files import sha256 as digest

log = logging.getLogger(__name__)

FILES = ("data.noun", "index.noun")
INSTALLED = Path("/usr/share/wordnet")
PACKAGE = "wordnet-base"
REMEDY = f"set WORDNET_DIR to a folder with the {' and '.join(FILES)} of WordNet 3.0, or mend one of these"

# Package lists and caches are in a folder of our own, without the system's hooks: an update changes nothing else.
APT_CONFIG = """
Dir::State "{folder}/state";
Dir::Cache "{folder}/cache";
APT::Sandbox::User "root";
Acquire::Languages "none";
#clear APT::Update;
"""
APT_LIMITS = (
    "-o",
    "Acquire::Retries=1",
    "-o",
    "Acquire::http::Timeout=15",
    "-o",
    "Acquire::https::Timeout=15",
)
COMMAND_TIMEOUT = 300  # seconds


@dataclass(frozen=True, kw_only=True)
class DownloadWordnet:
    """Settings: where to look for the noun files; see `fetch`."""

    sources: tuple[Literal["folder", "installed", "princeton", "debian"], ...]
    url: str
    sha256: dict[str, tuple[str, ...]]

    def __post_init__(self) -> None:
        if missing := [name for name in FILES if name not in self.sha256]:
            raise ValueError(f"sha256 lacks {missing[0]}; give its digests")


def fetch(sources: Sequence[str], out: Path, sha256: Mapping[str, Collection[str]], url: str, cache: Path) -> str:
    """Put data.noun and index.noun into the folder `out`; the name of the source that had them.

    `sources` are tried in their order: "folder" ($WORDNET_DIR; skipped when that is not set; when it is set and has
    not the right files, no other source is tried), "installed" (/usr/share/wordnet), "princeton" (`url`, a tar archive
    with dict/data.noun; unfinished downloads wait in `cache`), "debian" (the package wordnet-base, unpacked, not
    installed). `sha256` has the valid digests of each file: Debian builds its own data.noun, of the same size and noun
    offsets as Princeton's, with other offsets of verbs and adjectives.
    Raises UserError, with the reason of each source, when none has the right files.
    """
    reasons = []
    with replacing(out) as part:
        for name in sources:
            log.info("WordNet: trying the source %s", name)
            try:
                with TemporaryDirectory(prefix="wordnet-") as scratch:
                    _copy(_locate(name, Path(scratch), url, cache), part, sha256)
            except UserError as error:
                if name == "folder" and os.environ.get("WORDNET_DIR"):
                    raise
                reasons.append(f"{name}: {error.what}")
                log.info("WordNet: %s", reasons[-1])
            else:
                log.info("WordNet: used the source %s", name)
                return name
        raise UserError(f"no source has the WordNet nouns: {'; '.join(reasons)}", REMEDY)


def _locate(name: str, scratch: Path, url: str, cache: Path) -> Path:
    """The folder in which the source has the files, perhaps inside `scratch`."""
    if name == "folder":
        return _folder()
    if name == "installed":
        return INSTALLED
    if name == "princeton":
        return _princeton(scratch, url, cache)
    if name == "debian":
        return _debian(scratch)
    raise UserError(f"{name} is no source", "the sources are folder, installed, princeton, debian")


def _copy(folder: Path, out: Path, sha256: Mapping[str, Collection[str]]) -> None:
    """Copy the files and verify the copies."""
    out.mkdir(exist_ok=True)
    for name in FILES:
        if not (folder / name).is_file():
            raise UserError(f"{folder} has no {name}", REMEDY)
        try:
            shutil.copyfile(folder / name, out / name)
        except OSError as error:
            raise UserError(f"{folder / name} can't be copied: {error.strerror}", REMEDY) from None
        if (actual := digest(out / name)) not in sha256[name]:
            size = (out / name).stat().st_size
            raise UserError(f"{folder / name} isn't WordNet 3.0's ({size:,} bytes, sha256 {actual[:12]}..)", REMEDY)


def _folder() -> Path:
    folder = os.environ.get("WORDNET_DIR")
    if not folder:
        raise UserError("WORDNET_DIR isn't set", REMEDY)
    return Path(folder).expanduser()


def _princeton(scratch: Path, url: str, cache: Path) -> Path:
    from arrange.data.download import download  # here: requests takes a while to import

    archive = cache / Path(url).name
    download(url, archive)
    try:
        with tarfile.open(archive) as tar:
            for name in FILES:
                _extract(tar, f"dict/{name}", scratch / name)
    except (tarfile.TarError, EOFError, zlib.error, KeyError) as error:
        raise UserError(f"{url} isn't an archive with the noun files: {error}", REMEDY) from None
    finally:
        archive.unlink()
    return scratch


def _extract(tar: tarfile.TarFile, member: str, path: Path) -> None:
    """Write one regular file of the archive to `path`, whatever the archive calls it."""
    source = tar.extractfile(member)
    if source is None:
        raise KeyError(f"{member} is not a file")
    with source, path.open("wb") as target:
        shutil.copyfileobj(source, target)


def _debian(scratch: Path) -> Path:
    for tool in ("apt-get", "dpkg-deb"):
        if not shutil.which(tool):
            raise UserError(f"there is no {tool} here", REMEDY)
    try:
        _run(["apt-get", *APT_LIMITS, "download", PACKAGE], scratch)
    except UserError as error:
        log.info("WordNet: apt-get download: %s; fetching package lists", error.what)
        private = _private_apt(scratch)
        _run(["apt-get", *APT_LIMITS, *private, "update"], scratch)
        _run(["apt-get", *APT_LIMITS, *private, "download", PACKAGE], scratch)
    packages = sorted(scratch.glob(f"{PACKAGE}_*.deb"))
    if not packages:
        raise UserError(f"apt-get downloaded no {PACKAGE}", REMEDY)
    _run(["dpkg-deb", "-x", packages[0].name, "unpacked"], scratch)
    return scratch / "unpacked" / INSTALLED.relative_to("/")


def _private_apt(scratch: Path) -> list[str]:
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (scratch / folder).mkdir(parents=True)
    config = scratch / "apt.conf"
    config.write_text(APT_CONFIG.format(folder=scratch))
    return ["-c", str(config)]


def _run(command: list[str], folder: Path) -> None:
    """Run a command in `folder`; UserError with its last error line when it fails."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=os.environ | {"LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"{command[0]}: {error}", REMEDY) from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise UserError(f"{command[0]}: {lines[-1].removeprefix('E: ')}", REMEDY)
