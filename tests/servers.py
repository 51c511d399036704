"""Servers for tests: one in a thread of this process, and what waits for those in processes of their own."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests
from urllib3.util import Retry


class Files(SimpleHTTPRequestHandler):
    """Serves a folder, without a word: `partial(Files, directory=folder)`."""

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(handler: Callable[..., Any]) -> Iterator[str]:
    """A server on this machine alone; yields its host and port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def free_port() -> str:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def answering(url: str) -> None:
    """Return when this address answers that all is well."""
    session = requests.Session()
    retry = Retry(total=None, connect=240, read=5, backoff_factor=0.5, backoff_max=0.5)
    session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retry))
    session.get(url, timeout=60).raise_for_status()
