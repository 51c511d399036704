"""Real folders and a real server; only the files are small."""

import functools
import hashlib
import json
import logging
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from arrange.data.esci_files import EXAMPLES, ORIGIN, PRODUCTS
from arrange.data.esci_sources import FILES, DownloadEsci, Official, from_folder, from_urls, get
from arrange.errors import UserError

CONTENT = {EXAMPLES: b"judgements" * 1000, PRODUCTS: b"titles" * 50_000}
OFFICIAL = {name: Official(len(content), hashlib.sha256(content).hexdigest()) for name, content in CONTENT.items()}
NOWHERE = "http://127.0.0.1:9/esci"  # nothing listens there


def put(folder: Path, **changes: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in CONTENT.items():
        (folder / name).write_bytes(changes.get(name.split("_")[-1].removesuffix(".parquet"), content))
    return folder


def assert_whole(out: Path) -> None:
    assert sorted(path.name for path in out.iterdir()) == sorted(FILES)
    for name, content in CONTENT.items():
        assert (out / name).read_bytes() == content


class Site:
    """A folder, the address under which it is served, and the names that were asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.asked = folder, []
        site = self

        class Quiet(SimpleHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                site.asked.append(Path(self.path).name)

        folder.mkdir()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr("arrange.data.download.FIRST_WAIT", 0)
    site = Site(tmp_path / "site")
    with site.server as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield site
        server.shutdown()
        thread.join()


def test_the_official_files_of_a_folder(tmp_path: Path) -> None:
    from_folder(put(tmp_path / "mine"), tmp_path / "out", OFFICIAL)
    assert_whole(tmp_path / "out")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"products": b"titles" * 49_999}, rf"{PRODUCTS} isn't the official file: 299,994 bytes, not 300,000"),
        ({"examples": b"judgement5" * 1000}, rf"{EXAMPLES} isn't the official file: its sha256 is [0-9a-f]{{12}}\.\."),
    ],
)
def test_other_files_are_not_official(tmp_path: Path, changes: dict[str, bytes], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        from_folder(put(tmp_path / "mine", **changes), tmp_path / "out", OFFICIAL)
    assert len(str(error.value).splitlines()) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_any_files_of_a_folder_under_their_own_names(tmp_path: Path) -> None:
    mine = put(tmp_path / "mine")
    (mine / EXAMPLES).rename(mine / "my_examples_2026.parquet")
    (mine / PRODUCTS).rename(mine / "products.parquet")
    from_folder(mine, tmp_path / "out")
    assert_whole(tmp_path / "out")


def test_the_official_name_comes_before_others(tmp_path: Path) -> None:
    mine = put(tmp_path / "mine")
    (mine / "more_examples.parquet").write_bytes(b"others")
    from_folder(mine, tmp_path / "out")
    assert_whole(tmp_path / "out")
    (mine / EXAMPLES).rename(mine / "examples_a.parquet")
    with pytest.raises(UserError, match=r"mine has 2 files of examples: examples_a\.parquet, more_examples\.parquet"):
        from_folder(mine, tmp_path / "out")
    assert_whole(tmp_path / "out")  # what was there stays


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("files", [None, OFFICIAL])
def test_a_missing_file_is_named(tmp_path: Path, name: str, files: dict[str, Official] | None) -> None:
    (put(tmp_path / "mine") / name).unlink()
    with pytest.raises(UserError, match=f"mine has no {name}"):
        from_folder(tmp_path / "mine", tmp_path / "out", files)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_download_is_verified_and_leaves_no_cache(tmp_path: Path, site: Site) -> None:
    put(site.folder)
    assert from_urls([site.url + "/"], tmp_path / "out", OFFICIAL, tmp_path / "cache") == site.url + "/"
    assert_whole(tmp_path / "out")
    assert list((tmp_path / "cache").iterdir()) == []


def test_the_next_address_is_asked_when_one_fails(tmp_path: Path, site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    put(site.folder)
    assert from_urls([NOWHERE, site.url], tmp_path / "out", OFFICIAL, tmp_path / "cache") == site.url
    assert_whole(tmp_path / "out")
    assert any("127.0.0.1:9: the connection failed" in message for message in caplog.messages)


def test_a_pointer_in_place_of_the_file_is_refused_and_not_kept(tmp_path: Path, site: Site) -> None:
    """What a server without git-lfs gives."""
    put(site.folder, products=b"version https://git-lfs.github.com/spec/v1")
    with pytest.raises(
        UserError, match=rf"{site.url}/{PRODUCTS}: isn't the official file: 42 bytes, not 300,000"
    ) as error:
        from_urls([site.url], tmp_path / "out", OFFICIAL, tmp_path / "cache")
    assert len(str(error.value).splitlines()) == 2
    assert not (tmp_path / "out").exists()
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [EXAMPLES]


def test_what_has_come_is_not_fetched_again(tmp_path: Path, site: Site) -> None:
    put(site.folder)
    (site.folder / PRODUCTS).rename(site.folder / "later")
    with pytest.raises(UserError, match="it answered 404"):
        from_urls([site.url], tmp_path / "out", OFFICIAL, tmp_path / "cache")
    (site.folder / "later").rename(site.folder / PRODUCTS)
    from_urls([site.url], tmp_path / "out", OFFICIAL, tmp_path / "cache")
    assert_whole(tmp_path / "out")
    assert site.asked.count(EXAMPLES) == 1


def test_the_reasons_of_all_addresses_are_told(tmp_path: Path, site: Site) -> None:
    with pytest.raises(
        UserError, match=r"no address has the ESCI files: 127\.0\.0\.1:9: .*; 127\.0\.0\.1:\d+: it answered 404"
    ):
        from_urls([NOWHERE, site.url], tmp_path / "out", OFFICIAL, tmp_path / "cache")


def settings(**changes: object) -> DownloadEsci:
    values = {"source": "official", "folder": "", "urls": (NOWHERE,), "files": OFFICIAL, "products": 200, "seed": 1}
    return DownloadEsci(**values | changes)


def test_a_source_leaves_the_files_and_what_to_call_numbers_from_them(tmp_path: Path, site: Site) -> None:
    put(site.folder)
    mine, cache = put(tmp_path / "mine"), tmp_path / "cache"
    own = "own files in the schema of ESCI (no ESCI score)"
    for number, (changes, expected) in enumerate(
        [
            ({"source": "sample"}, ("sample of 200 generated products (no ESCI score)", "")),
            ({"source": "path", "folder": "mine"}, (own, "")),
            ({"folder": "mine"}, ("ESCI", "")),
            ({"urls": (site.url,)}, ("ESCI", site.url)),
        ]
    ):
        out = tmp_path / f"out{number}"
        assert get(settings(**changes), mine, out, cache) == expected
        assert sorted(path.name for path in out.iterdir()) == sorted([*FILES, ORIGIN])
        assert json.loads((out / ORIGIN).read_text()) == {"name": expected[0]}


def test_settings_that_lack_something_are_refused() -> None:
    with pytest.raises(ValueError, match="folder is empty; name the folder"):
        settings(source="path")
    with pytest.raises(ValueError, match=f"files lacks {EXAMPLES}"):
        settings(files={})
