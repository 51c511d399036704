"""Against a real server on 127.0.0.1 that breaks in the ways that real ones do."""

import re
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from arrange.data.download import download
from arrange.errors import UserError

BODY = bytes(range(256)) * 2000  # 512,000 bytes
BREAK = 3 * 65536  # what a broken answer still sends: whole chunks


class Server(ThreadingHTTPServer):
    """Serves `body`; `script` is what goes wrong with the next answers, `seen` the Range of each request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.body, self.etag, self.ranges = BODY, '"one"', True
        self.script: list[str] = []
        self.seen: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/file.bin"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        server.seen.append(self.headers["Range"])
        fault = server.script.pop(0) if server.script else ""
        if fault.isdecimal():
            self.send_error(int(fault))
            return
        start = self.first_byte()
        if start >= len(server.body):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(server.body) - 1}/{len(server.body)}")
        length = 10**18 if fault == "huge" else len(server.body) - start
        self.send_header("Content-Length", str(length))
        if server.etag:
            self.send_header("ETag", server.etag)
        self.end_headers()
        # a broken answer ends in the middle of the body
        self.wfile.write(server.body[start : start + BREAK] if fault == "break" else server.body[start:])

    def first_byte(self) -> int:
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        same = self.headers["If-Range"] in (None, self.server.etag)
        return int(wanted[1]) if wanted and same and self.server.ranges else 0

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def waits() -> list[float]:
    return []


def fetch(url: str, path: Path, waits: list[float], attempts: int = 4) -> None:
    download(url, path, attempts=attempts, connect_timeout=2.0, wait=waits.append)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_whole_file_and_nothing_else_is_left(server: Server, tmp_path: Path, waits: list[float]) -> None:
    fetch(server.url, tmp_path / "new folder/file.bin", waits)
    assert (tmp_path / "new folder/file.bin").read_bytes() == BODY
    assert names(tmp_path / "new folder") == ["file.bin"]
    assert server.seen == [None]
    assert waits == []


def test_a_broken_connection_continues_where_it_broke(server: Server, tmp_path: Path, waits: list[float]) -> None:
    server.script = ["break", "break"]
    fetch(server.url, tmp_path / "file.bin", waits)
    assert (tmp_path / "file.bin").read_bytes() == BODY
    assert server.seen == [None, "bytes=196608-", "bytes=393216-"]
    assert waits == [0.5, 1.0]


def test_a_later_call_continues_an_earlier_one(server: Server, tmp_path: Path, waits: list[float]) -> None:
    server.script = ["break"]
    with pytest.raises(UserError, match=r"127\.0\.0\.1:\d+: the connection failed"):
        fetch(server.url, tmp_path / "file.bin", waits, attempts=1)
    assert names(tmp_path) == ["file.bin.part", "file.bin.part.validator"]
    fetch(server.url, tmp_path / "file.bin", waits)
    assert (tmp_path / "file.bin").read_bytes() == BODY
    assert server.seen == [None, "bytes=196608-"]
    assert names(tmp_path) == ["file.bin"]


def test_a_file_that_changed_in_between_starts_again(server: Server, tmp_path: Path, waits: list[float]) -> None:
    server.script = ["break"]
    with pytest.raises(UserError):
        fetch(server.url, tmp_path / "file.bin", waits, attempts=1)
    server.body, server.etag = BODY[::-1], '"two"'
    fetch(server.url, tmp_path / "file.bin", waits)
    assert (tmp_path / "file.bin").read_bytes() == BODY[::-1]


@pytest.mark.parametrize("etag", ["", 'W/"weak"'])
def test_without_a_strong_validator_it_starts_again(
    server: Server, tmp_path: Path, waits: list[float], etag: str
) -> None:
    server.script, server.etag = ["break"], etag
    fetch(server.url, tmp_path / "file.bin", waits)
    assert (tmp_path / "file.bin").read_bytes() == BODY
    assert server.seen == [None, None]


def test_a_server_that_ignores_ranges_starts_again(server: Server, tmp_path: Path, waits: list[float]) -> None:
    server.script, server.ranges = ["break"], False
    fetch(server.url, tmp_path / "file.bin", waits)
    assert (tmp_path / "file.bin").read_bytes() == BODY
    assert server.seen == [None, "bytes=196608-"]


def test_a_part_longer_than_the_file_starts_again(server: Server, tmp_path: Path, waits: list[float]) -> None:
    (tmp_path / "file.bin.part").write_bytes(BODY + b"more")
    (tmp_path / "file.bin.part.validator").write_text(server.etag)
    fetch(server.url, tmp_path / "file.bin", waits)
    assert (tmp_path / "file.bin").read_bytes() == BODY
    assert server.seen == ["bytes=512004-", None]


@pytest.mark.parametrize("validator", [b"", b'"\xe9"', b'"one"\n', b"\0\0\0\0"])
def test_a_damaged_validator_starts_again(server: Server, tmp_path: Path, waits: list[float], validator: bytes) -> None:
    (tmp_path / "file.bin.part").write_bytes(BODY[:100])
    (tmp_path / "file.bin.part.validator").write_bytes(validator)
    fetch(server.url, tmp_path / "file.bin", waits)
    assert (tmp_path / "file.bin").read_bytes() == BODY
    assert server.seen == [None]


def test_5xx_is_tried_again_with_growing_waits(server: Server, tmp_path: Path, waits: list[float]) -> None:
    server.script = ["500", "503", "502"]
    fetch(server.url, tmp_path / "file.bin", waits)
    assert (tmp_path / "file.bin").read_bytes() == BODY
    assert waits == [0.5, 1.0, 2.0]


def test_it_gives_up_in_the_end(server: Server, tmp_path: Path, waits: list[float]) -> None:
    server.script = ["500"] * 9
    with pytest.raises(UserError, match=r"127\.0\.0\.1:\d+: it answered 500") as error:
        fetch(server.url, tmp_path / "file.bin", waits)
    assert len(server.seen) == 4
    assert len(str(error.value).splitlines()) == 2


def test_4xx_is_not_tried_again(server: Server, tmp_path: Path, waits: list[float]) -> None:
    server.script = ["404"]
    with pytest.raises(UserError, match=r"127\.0\.0\.1:\d+: it answered 404 Not Found"):
        fetch(server.url, tmp_path / "file.bin", waits)
    assert len(server.seen) == 1
    assert names(tmp_path) == []


def test_an_older_file_stays_when_the_download_fails(server: Server, tmp_path: Path, waits: list[float]) -> None:
    (tmp_path / "file.bin").write_text("older")
    server.script = ["break"] * 9
    with pytest.raises(UserError):
        fetch(server.url, tmp_path / "file.bin", waits, attempts=2)
    assert (tmp_path / "file.bin").read_text() == "older"


def test_too_little_disk_is_said_before_the_body_comes(server: Server, tmp_path: Path, waits: list[float]) -> None:
    server.script = ["huge"]
    with pytest.raises(UserError, match=r"127\.0\.0\.1:\d+ sends 1,000,000,000,000\.0 MB, and .* free"):
        fetch(server.url, tmp_path / "file.bin", waits)
    assert names(tmp_path) == []
    assert len(server.seen) == 1


def test_a_refused_connection_names_the_host(tmp_path: Path, waits: list[float]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(UserError, match=rf"127\.0\.0\.1:{port}: the connection failed \(NewConnectionError\)"):
        fetch(f"http://127.0.0.1:{port}/file.bin", tmp_path / "file.bin", waits)
    assert len(waits) == 3


def test_a_host_without_address_fails_at_once(
    tmp_path: Path, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_address(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_address)
    with pytest.raises(UserError, match=r"nowhere\.invalid: the host has no address"):
        fetch("http://nowhere.invalid/file.bin", tmp_path / "file.bin", waits)
    assert waits == []


def test_a_wrong_url_fails_at_once(tmp_path: Path, waits: list[float]) -> None:
    with pytest.raises(UserError, match=r"file\.bin: Invalid URL"):
        fetch("file.bin", tmp_path / "file.bin", waits)
    assert waits == []


def test_a_folder_that_cannot_be_made_is_named(server: Server, tmp_path: Path, waits: list[float]) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(UserError, match=r"taken/file\.bin: can't store the download from 127\.0\.0\.1"):
        fetch(server.url, tmp_path / "taken/file.bin", waits)
