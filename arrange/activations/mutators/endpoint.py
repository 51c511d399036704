"""Questions to an OpenAI-compatible endpoint, and what their answers cost.

The request of chat completions is a page of JSON, so `requests` does: time limit, size limit and retries are what
matters here. Nothing that goes wrong on the other side is raised: it comes back as an `Answer` with an error.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.pool import ThreadPool
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, MaxRetryError
from urllib3.response import BaseHTTPResponse
from urllib3.util import Retry

from arrange.errors import UserError

ANSWER_BYTES = 1 << 20  # no honest answer is longer
AT_ONCE = 8
CONNECT_SECONDS = 10.0
TRY_AGAIN = frozenset({408, 409, 429, 500, 502, 503, 504})  # a status that says nothing was generated, for now


@dataclass(frozen=True)
class Llm:
    """An endpoint, what to ask of it and what it may cost. Prices and budget are in one currency."""

    url: str  # up to and with /v1
    model: str
    key_variable: str = ""  # the environment variable that holds the key; empty: none is sent
    temperature: float = 1.0
    max_tokens: int = 2000  # of an answer
    price_in: float = 0.0  # of a million tokens
    price_out: float = 0.0
    calls: int = 1000  # the budget: answers and failures, not repeated attempts
    money: float = 1.0  # never passed: a call that could pass it isn't made
    seconds: float = 120.0  # for one attempt
    retries: int = 3  # of an attempt that was refused
    request: Mapping[str, Any] = field(default_factory=dict)  # more fields of the request; null takes one away

    def cost(self, tokens_in: int, tokens_out: int) -> float:
        """The price of so many tokens."""
        return (tokens_in * self.price_in + tokens_out * self.price_out) / 1e6


class TooLongError(OSError):
    """An answer of more than ANSWER_BYTES."""


@dataclass(frozen=True)
class Answer:
    """What came back. Tokens that the server doesn't count are counted as the most they can be."""

    text: str
    tokens_in: int
    tokens_out: int
    error: str = ""  # one line; the text is then empty


def key(llm: Llm) -> str:
    """The key, from the environment; raises UserError, which doesn't show it, when it isn't there or can't be sent."""
    found = os.environ.get(llm.key_variable, "").strip() if llm.key_variable else ""
    if llm.key_variable and not (found.isascii() and found.isprintable() and found):
        raise UserError(f"the environment variable {llm.key_variable} holds no key", f"export {llm.key_variable}=...")
    return found


def verify(llm: Llm) -> None:
    """Raise UserError where no request can be made of these settings: of the url, of the key."""
    parts = urlsplit(llm.url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(f"the LLM's url {llm.url!r} is no web address", "give one like http://localhost:8000/v1")
    key(llm)


def bound(llm: Llm, prompt: str) -> Answer:
    """The most that a question can use: a token is a byte at least, and no answer is longer than asked for."""
    return Answer("", len(prompt.encode()), llm.max_tokens)


def ask(llm: Llm, prompt: str) -> Answer:
    """The answer to one prompt.

    A refused attempt is repeated, after the time that the server names or a growing one. One that was taken and not
    answered is not: it may have been paid, and is charged as the most it can cost.
    """
    most, secret = bound(llm, prompt), key(llm)
    try:
        with _session(llm) as session, _post(session, llm, prompt, secret) as response:
            if response.status_code != requests.codes.ok:
                return Answer("", 0, 0, f"status {response.status_code}")
            body = _body(response.raw, time.monotonic() + llm.seconds)
    except (OSError, HTTPError) as error:
        used = Answer("", 0, 0) if _never_sent(error) else most
        return replace(used, error=type(error).__name__)  # the name only: a message may quote the request
    answer = _read(body, most)  # where the key may be spelt with JSON's escapes
    return replace(answer, text=answer.text.replace(secret, "***")) if secret else answer


def ask_all(llm: Llm, prompts: Sequence[str]) -> Iterator[tuple[int, Answer]]:
    """The answers as they come, each with its prompt's index; AT_ONCE questions are under way.

    In threads that nobody waits for: after Ctrl-C the process ends at once, as it would not with ThreadPoolExecutor's.
    """
    with ThreadPool(AT_ONCE) as pool:
        yield from pool.imap_unordered(lambda index: (index, ask(llm, prompts[index])), range(len(prompts)))


def _session(llm: Llm) -> requests.Session:
    retry = Retry(
        total=llm.retries,
        read=False,
        allowed_methods=None,
        status_forcelist=TRY_AGAIN,
        backoff_factor=0.5,
        retry_after_max=60,
        raise_on_status=False,
    )
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    return session


def _post(session: requests.Session, llm: Llm, prompt: str, secret: str) -> requests.Response:
    fields = {
        "model": llm.model,
        "messages": [{"role": "user", "content": prompt}],
        "temperature": llm.temperature,
        "max_tokens": llm.max_tokens,
        **llm.request,
    }

    def authorise(request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Also where there is no key, so that none is taken from a .netrc."""
        if secret:
            request.headers["Authorization"] = f"Bearer {secret}"
        return request

    return session.post(
        llm.url.rstrip("/") + "/chat/completions",
        json={name: value for name, value in fields.items() if value is not None},
        headers={"Accept-Encoding": "identity"},
        auth=authorise,
        timeout=(CONNECT_SECONDS, llm.seconds),
        allow_redirects=False,  # the key is for this host
        stream=True,
    )


def _never_sent(error: Exception) -> bool:
    """Whether there was no connection: urllib3 repeats such attempts and no others, and says so when it gives up."""
    return isinstance(error, requests.ConnectionError) and isinstance(error.args[0], MaxRetryError)


def _body(raw: BaseHTTPResponse, deadline: float) -> bytes:
    """All that comes; raises TimeoutError after the deadline, TooLongError beyond what an answer may have."""
    body = b""
    while chunk := raw.read1(1 << 16, decode_content=True):
        body += chunk
        if len(body) > ANSWER_BYTES:
            raise TooLongError
        if time.monotonic() > deadline:
            raise TimeoutError
    return body


def _read(body: bytes, most: Answer) -> Answer:
    """The text and the tokens of a chat completion."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        data = None
    text = _at(data, "choices", 0, "message", "content")
    tokens_in, tokens_out = (_at(data, "usage", f"{kind}_tokens") for kind in ("prompt", "completion"))
    return Answer(
        text.encode(errors="replace").decode() if isinstance(text, str) else "",  # no lone surrogates
        tokens_in if _is_count(tokens_in) else most.tokens_in,
        tokens_out if _is_count(tokens_out) else most.tokens_out,
        "" if isinstance(text, str) else "not a chat completion",
    )


def _at(data: Any, *path: str | int) -> Any:
    """What lies there in a JSON value, None where nothing does."""
    try:
        for step in path:
            data = data[step]
    except (LookupError, TypeError):
        return None
    return data


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 1 << 40
