import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from activations.small import llm, search

from arrange.activations.search.database import LlmCache, opened
from arrange.activations.settings import Llm


@dataclass
class Chat:
    """A server that speaks the protocol: what it was asked, and what it says next."""

    url: str = ""
    requests: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)  # path, headers, JSON
    replies: list[Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=list)
    otherwise: Callable[[BaseHTTPRequestHandler, str], None] | None = None  # replies to a prompt when those are used up
    closing: threading.Event = field(default_factory=threading.Event)

    def prompt(self) -> str:
        """What was asked last."""
        return self.requests[-1][2]["messages"][0]["content"]

    def settings(self, **changes: Any) -> Llm:
        return llm(self.url, **changes)

    @staticmethod
    def write(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, **headers: str) -> None:
        """A whole response."""
        handler.send_response(status)
        for name, value in ({"Content_Length": str(len(body)), **headers}).items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    @staticmethod
    def completion(text: str | None, tokens_in: int, tokens_out: int) -> bytes:
        """The body of an answer with this text."""
        usage = {"prompt_tokens": tokens_in, "completion_tokens": tokens_out, "total_tokens": tokens_in + tokens_out}
        message = {"role": "assistant", "content": text}
        return json.dumps({"object": "chat.completion", "choices": [{"message": message}], "usage": usage}).encode()

    def raw(self, body: bytes, status: int = 200, **headers: str) -> None:
        """Say exactly this next."""
        self.replies.append(lambda handler: self.write(handler, body, status, **headers))

    def say(self, text: str | None, tokens_in: int = 1000, tokens_out: int = 500) -> None:
        """Answer with this text next."""
        self.raw(self.completion(text, tokens_in, tokens_out))


@pytest.fixture
def chat() -> Iterator[Chat]:
    chat = Chat()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            chat.requests.append((self.path, dict(self.headers), json.loads(body)))
            try:
                if chat.replies or not chat.otherwise:
                    chat.replies.pop(0)(self)
                else:
                    chat.otherwise(self, json.loads(body)["messages"][0]["content"])
            except OSError:  # the client had heard enough
                self.close_connection = True

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    chat.url = f"http://127.0.0.1:{server.server_port}/v1"
    yield chat
    chat.closing.set()
    server.shutdown()
    server.server_close()
    thread.join()


@dataclass
class Book:
    """The LLM cache of a search's database, and what another process sees of it."""

    cache: LlmCache
    path: Path

    def lines(self) -> list[tuple[str, int, int, float, str]]:
        """Answer, tokens in and out, money and error of every call."""
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute("SELECT answer, tokens_in, tokens_out, money, error FROM calls").fetchall()


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    with opened(tmp_path / "search.db", *search()) as database:
        yield Book(database.llm_cache, tmp_path / "search.db")
