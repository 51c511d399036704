"""Real archives, folders and servers; the apt tools are small scripts on a PATH of their own."""

import hashlib
import io
import logging
import tarfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import mini_wordnet
import pytest
from servers import Files, serving

from arrange.data import wordnet_sources
from arrange.data.wordnet_sources import fetch
from arrange.errors import UserError

FILES = ("data.noun", "index.noun")
NOWHERE = "http://127.0.0.1:9/WNdb-3.0.tar.gz"  # nothing listens there


@pytest.fixture(scope="module")
def nouns(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nouns")
    mini_wordnet.write(folder)
    return folder


@pytest.fixture(scope="module")
def digests(nouns: Path) -> dict[str, list[str]]:
    """The right digest and, as for the real data.noun, that of another release."""
    return {name: ["0" * 64, hashlib.sha256((nouns / name).read_bytes()).hexdigest()] for name in FILES}


@pytest.fixture(autouse=True)
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No WORDNET_DIR, nothing installed, no tools, no proxy, no waiting."""
    monkeypatch.delenv("WORDNET_DIR", raising=False)
    monkeypatch.setattr(wordnet_sources, "INSTALLED", tmp_path / "not/installed")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr("arrange.data.download.FIRST_WAIT", 0)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address under which it is served."""
    folder = tmp_path / "site"
    folder.mkdir()
    with serving(partial(Files, directory=str(folder))) as host:
        yield folder, f"http://{host}/WNdb-3.0.tar.gz"


def pack(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def assert_fetched(out: Path, nouns: Path) -> None:
    assert sorted(path.name for path in out.iterdir()) == list(FILES)
    for name in FILES:
        assert (out / name).read_bytes() == (nouns / name).read_bytes()


def test_a_folder_of_the_users_comes_first(
    tmp_path: Path, nouns: Path, digests: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORDNET_DIR", str(nouns))
    monkeypatch.setattr(wordnet_sources, "INSTALLED", nouns)
    assert fetch(["folder", "installed"], tmp_path / "out", digests, NOWHERE, tmp_path / "cache") == "folder"
    assert_fetched(tmp_path / "out", nouns)


def test_the_order_of_the_sources_is_the_callers(
    tmp_path: Path, nouns: Path, digests: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORDNET_DIR", str(nouns))
    monkeypatch.setattr(wordnet_sources, "INSTALLED", nouns)
    assert fetch(["installed", "folder"], tmp_path / "out", digests, NOWHERE, tmp_path / "cache") == "installed"


def truncate(folder: Path) -> None:
    content = (folder / "data.noun").read_bytes()
    (folder / "data.noun").write_bytes(content[: len(content) // 2])


def swap_a_byte(folder: Path) -> None:
    content = bytearray((folder / "data.noun").read_bytes())
    content[-5] ^= 1
    (folder / "data.noun").write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncate, r"mine/data\.noun isn't WordNet 3\.0's \(11,280 bytes"),
        (swap_a_byte, r"mine/data\.noun isn't WordNet 3\.0's"),
        (lambda folder: (folder / "index.noun").unlink(), r"mine has no index\.noun"),
    ],
)
def test_a_wrong_folder_of_the_users_is_no_reason_to_look_elsewhere(
    tmp_path: Path,
    nouns: Path,
    digests: dict[str, list[str]],
    monkeypatch: pytest.MonkeyPatch,
    damage: Callable[[Path], None],
    message: str,
) -> None:
    mini_wordnet.write(tmp_path / "mine")
    damage(tmp_path / "mine")
    monkeypatch.setenv("WORDNET_DIR", str(tmp_path / "mine"))
    monkeypatch.setattr(wordnet_sources, "INSTALLED", nouns)
    with pytest.raises(UserError, match=message) as error:
        fetch(["folder", "installed"], tmp_path / "out", digests, NOWHERE, tmp_path / "cache")
    assert len(str(error.value).splitlines()) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine"]


def test_a_damaged_installation_is_passed_over(
    tmp_path: Path,
    nouns: Path,
    digests: dict[str, list[str]],
    monkeypatch: pytest.MonkeyPatch,
    site: tuple[Path, str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    mini_wordnet.write(tmp_path / "installed")
    swap_a_byte(tmp_path / "installed")
    monkeypatch.setattr(wordnet_sources, "INSTALLED", tmp_path / "installed")
    pack(site[0] / "WNdb-3.0.tar.gz", {f"dict/{name}": (nouns / name).read_bytes() for name in FILES})
    caplog.set_level(logging.INFO)
    sources = ["folder", "installed", "princeton"]
    assert fetch(sources, tmp_path / "out", digests, site[1], tmp_path / "cache") == "princeton"
    assert_fetched(tmp_path / "out", nouns)
    assert list((tmp_path / "cache").iterdir()) == []
    assert caplog.messages[-1] == "WordNet: used the source princeton"


def test_an_archive_is_read_for_two_files_alone(
    tmp_path: Path, nouns: Path, digests: dict[str, list[str]], site: tuple[Path, str]
) -> None:
    members = {f"dict/{name}": (nouns / name).read_bytes() for name in FILES}
    pack(
        site[0] / "WNdb-3.0.tar.gz",
        {"../escaped": b"x", "/tmp/escaped": b"x", **members, "dict/../../up": b"x"},
    )
    assert fetch(["princeton"], tmp_path / "out", digests, site[1], tmp_path / "cache") == "princeton"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "out", "site"]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"dict/data.noun": b"x", "dict/index.noun": b"x"}, r"data\.noun isn't WordNet 3\.0's \(1 bytes"),
        ({"dict/data.noun": b"x"}, r"isn't an archive with the noun files: .*dict/index\.noun"),
    ],
)
def test_a_wrong_archive_is_a_reason_and_is_not_kept(
    tmp_path: Path,
    digests: dict[str, list[str]],
    site: tuple[Path, str],
    members: dict[str, bytes],
    message: str,
) -> None:
    pack(site[0] / "WNdb-3.0.tar.gz", members)
    with pytest.raises(UserError, match=message):
        fetch(["princeton"], tmp_path / "out", digests, site[1], tmp_path / "cache")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "site"]
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("content", [b"<html>Not here</html>", None])
def test_an_answer_that_is_no_archive_is_a_reason(
    tmp_path: Path, nouns: Path, digests: dict[str, list[str]], site: tuple[Path, str], content: bytes | None
) -> None:
    archive = site[0] / "WNdb-3.0.tar.gz"
    if content is None:  # a whole answer, but a truncated archive
        pack(archive, {f"dict/{name}": (nouns / name).read_bytes() for name in FILES})
        content = archive.read_bytes()[: archive.stat().st_size // 2]
    archive.write_bytes(content)
    with pytest.raises(UserError, match="isn't an archive with the noun files"):
        fetch(["princeton"], tmp_path / "out", digests, site[1], tmp_path / "cache")


def tool(tmp_path: Path, name: str, script: str) -> None:
    path = tmp_path / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")
    path.chmod(0o755)


def debian_machine(tmp_path: Path, nouns: Path, apt: str) -> None:
    """apt-get that logs its arguments; dpkg-deb that unpacks `nouns` from any package."""
    unpacked = f"$3{tmp_path}/not/installed"
    tool(tmp_path, "apt-get", f'echo "$*" >> "{tmp_path}/apt.log"\n{apt}')
    tool(tmp_path, "dpkg-deb", f'test -s "$2" && mkdir -p "{unpacked}" && cp "{nouns}"/*.noun "{unpacked}"')


DOWNLOAD = "case $* in *download*) echo deb > wordnet-base_1_all.deb;; esac"


def test_debians_package_is_unpacked(tmp_path: Path, nouns: Path, digests: dict[str, list[str]]) -> None:
    debian_machine(tmp_path, nouns, DOWNLOAD)
    assert fetch(["debian"], tmp_path / "out", digests, NOWHERE, tmp_path / "cache") == "debian"
    assert_fetched(tmp_path / "out", nouns)
    assert len((tmp_path / "apt.log").read_text().splitlines()) == 1


def test_missing_package_lists_are_fetched_into_a_private_folder(
    tmp_path: Path, nouns: Path, digests: dict[str, list[str]]
) -> None:
    """This apt-get knows no package and updates nothing unless its folders are private and there."""
    private = """
        case $* in *-c*) test -d state/lists/partial && grep -q '/wordnet-[^/]*/state' apt.conf || exit 1;;
        *) echo "E: Unable to locate package" >&2; exit 100;; esac"""
    debian_machine(tmp_path, nouns, f"{private}\n{DOWNLOAD}")
    assert fetch(["debian"], tmp_path / "out", digests, NOWHERE, tmp_path / "cache") == "debian"
    assert_fetched(tmp_path / "out", nouns)
    calls = (tmp_path / "apt.log").read_text().splitlines()
    assert [call.split("Timeout=15 ")[-1].split()[0] for call in calls] == ["download", "-c", "-c"]
    assert [call.split()[-1] for call in calls] == ["wordnet-base", "update", "wordnet-base"]


def test_when_nothing_works_two_lines_name_every_source(
    tmp_path: Path, nouns: Path, digests: dict[str, list[str]]
) -> None:
    debian_machine(tmp_path, nouns, 'echo "E: Some index files failed to download" >&2; exit 100')
    with pytest.raises(UserError) as error:
        fetch(
            ["folder", "installed", "princeton", "debian"],
            tmp_path / "out",
            digests,
            NOWHERE,
            tmp_path / "cache",
        )
    assert str(error.value) == (
        "no source has the WordNet nouns: folder: WORDNET_DIR isn't set; "
        f"installed: {tmp_path}/not/installed has no data.noun; "
        "princeton: 127.0.0.1:9: the connection failed (NewConnectionError); "
        "debian: apt-get: Some index files failed to download\n"
        "set WORDNET_DIR to a folder with the data.noun and index.noun of WordNet 3.0, or mend one of these"
    )
    assert not (tmp_path / "out").exists()


def test_a_machine_without_apt_says_so(tmp_path: Path, digests: dict[str, list[str]]) -> None:
    with pytest.raises(UserError, match="debian: there is no apt-get here"):
        fetch(["debian"], tmp_path / "out", digests, NOWHERE, tmp_path / "cache")


def test_an_unknown_source_is_named(tmp_path: Path, digests: dict[str, list[str]]) -> None:
    with pytest.raises(UserError, match="princetown is no source"):
        fetch(["princetown"], tmp_path / "out", digests, NOWHERE, tmp_path / "cache")
