"""A language model's endpoint that repeats the key in all that it says, and where the key is afterwards: nowhere."""

import hashlib
import json
import sqlite3
import threading
import zlib
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import polars as pl
import pytest
from servers import serving

pytestmark = [pytest.mark.slow, pytest.mark.soak]

# not as they are: this file is in every checkout
KEY = f"sk-{hashlib.sha256(b'a key').hexdigest()[:32]}/with+signs=42"
MARK = hashlib.sha256(b"a mark").hexdigest()  # in every answer beside the key: what finds it would find the key
VARIABLE = f"KEY_{hashlib.sha256(b'a variable').hexdigest()[:8].upper()}"
PROGRAM = "```python\ndef activation(x):\n    # {said}\n    return torch.tanh({number} * x)\n```"


def said_in_a_program(handler: BaseHTTPRequestHandler, number: int, said: str) -> None:
    message = {"role": "assistant", "content": PROGRAM.format(said=said, number=1 + number / 8)}
    usage = {"prompt_tokens": 10, "completion_tokens": 10}
    respond(handler, 200, json.dumps({"choices": [{"message": message}], "usage": usage}))


def said_without_a_program(handler: BaseHTTPRequestHandler, number: int, said: str) -> None:
    respond(handler, 200, json.dumps({"choices": [{"message": {"content": said}}], "error": said}))


def said_in_what_is_no_json(handler: BaseHTTPRequestHandler, number: int, said: str) -> None:
    respond(handler, 200, said)


def said_in_a_refusal(handler: BaseHTTPRequestHandler, number: int, said: str) -> None:
    respond(handler, 401, said, reason=said)


def said_in_a_redirection(handler: BaseHTTPRequestHandler, number: int, said: str) -> None:
    respond(handler, 307, said, Location=f"http://127.0.0.1:9/{said}")


def said_in_a_broken_body(handler: BaseHTTPRequestHandler, number: int, said: str) -> None:
    respond(handler, 200, f"{said}\r\n", Transfer_Encoding="chunked")  # where the length of a chunk should be
    handler.close_connection = True


DEEDS = [said_in_a_program, said_without_a_program, said_in_what_is_no_json]
DEEDS += [said_in_a_refusal, said_in_a_redirection, said_in_a_broken_body]


def respond(handler: BaseHTTPRequestHandler, status: int, body: str, reason: str | None = None, **headers: str) -> None:
    handler.send_response(status, reason)
    length = {} if "Transfer_Encoding" in headers else {"Content_Length": str(len(body.encode()))}
    for name, value in (headers | length).items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body.encode())


@pytest.fixture
def endpoint() -> Iterator[tuple[str, list[str]]]:
    """The address, and the deeds done so far to who had the key; each second answer is a program."""
    done: list[str] = []
    turn = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            with turn:
                number = len(done)
                deed = DEEDS[0] if number % 2 else DEEDS[1 + number // 2 % (len(DEEDS) - 1)]
                done.append(deed.__name__)
            deed(self, number, f"{MARK} Authorization: {self.headers['Authorization']}")

        def log_message(self, *words: object) -> None:
            pass

    with serving(Handler) as host:
        yield f"http://{host}/v1", done


def contents(path: Path) -> Iterator[bytes]:
    """A file's bytes, and the text that is packed in them: of parquet, SQLite and git's objects."""
    raw = path.read_bytes()
    yield raw
    if raw.startswith(b"PAR1"):
        yield pl.read_parquet(path).write_ndjson().encode()
    elif raw.startswith(b"SQLite format 3\0"):
        with closing(sqlite3.connect(path)) as connection:
            yield "\n".join(connection.iterdump()).encode()
    elif ".git" in path.parts and "objects" in path.parts and len(path.name) == 38:
        yield zlib.decompress(raw)


def places(word: str, *folders: Path) -> set[str]:
    """The files below these folders, hidden ones included, that have this word in them or in their name.

    What SQLite keeps beside a database is seen through the database, and goes when that is closed.
    """
    found = {path: folder for folder in folders for path in folder.rglob("*") if path.is_file()}
    return {
        str(path.relative_to(folder))
        for path, folder in found.items()
        if not path.name.endswith((".db-wal", ".db-shm"))
        and (word in str(path) or any(word.encode() in content for content in contents(path)))
    }


def test_a_key_that_the_endpoint_repeats_is_in_no_file_and_on_no_line(finished, first_run, endpoint):
    url, done = endpoint
    finished.env |= {VARIABLE: KEY}
    del finished.env["PREFECT_API_URL"]  # so that Prefect's records are in the checkout too
    finished.change("searches", **{"evolution-1": {"arm": "evolution", "seed": 1, "mutators": ["llm"]}})
    finished.change("search", candidates=26, generation_size=4, attempts=2)
    words = (f"llm.url={url}", f"llm.key_variable={VARIABLE}", "llm.money=100.0")
    output = finished.flow("--set", *words)

    assert set(done) == {deed.__name__ for deed in DEEDS}
    folders = finished.path, first_run[0].path  # MLflow's files are where the experiment was made
    where = places(MARK, *folders)
    assert any(name.endswith("searches/evolution-1/calls.parquet") for name in where)
    assert not any(name.endswith("searches/evolution-1/candidates.parquet") for name in where)  # they lose comments
    assert any(name.startswith("mlartifacts/") for name in where)
    assert any(name.startswith(".dvc/cache/") for name in where)
    for secret in (KEY, KEY.partition("/")[0], json.dumps(KEY)[1:-1]):
        assert places(secret, *folders) == set()
        assert secret not in output
    recorded = places(VARIABLE, *folders)  # its name is a parameter like any other
    assert {"mlflow.db", ".prefect/prefect.db"} <= recorded


def test_a_key_among_the_words_of_a_run_is_refused_before_there_is_one(finished):
    output = finished.flow("--set", f"llm.request.api_key={KEY}", code=1)
    what, _ = output.splitlines()
    assert what == "the overrides: llm.request.api_key is a secret by its name, and would be recorded"
    assert not (finished.path / ".workspaces").exists()
    assert KEY not in output
    assert places(KEY, finished.path) == set()
