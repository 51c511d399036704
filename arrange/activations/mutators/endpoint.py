"""Asks an endpoint that speaks OpenAI's protocol, and counts what its answers cost.

`requests` is enough for this protocol; the work is in limits of time and size, and in retries. An error of the other
side is not raised: it comes back as an `Answer` with an error.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.pool import ThreadPool
from typing import Any
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError, MaxRetryError
from urllib3.response import BaseHTTPResponse
from urllib3.util import Retry

from arrange.activations.mutators.deadline import DeadlineAdapter
from arrange.activations.settings import Llm
from arrange.errors import UserError

ANSWER_BYTES = 1 << 20  # a longer answer is refused
AT_ONCE = 8  # questions
CONNECT_SECONDS = 10.0
TRY_AGAIN = frozenset({408, 409, 429, 500, 502, 503, 504})  # status codes of requests that were refused for now


class TooLongError(OSError):
    """An answer of more than ANSWER_BYTES."""


@dataclass(frozen=True)
class Answer:
    """What came back. Where the server reports no number of tokens, they are the most that it can be."""

    text: str
    tokens_in: int
    tokens_out: int
    error: str = ""  # one line; the text is then empty


def key(llm: Llm) -> str:
    """The key, from the environment. Raises UserError, without showing it, where it is missing or cannot be sent."""
    secret = os.environ.get(llm.key_variable, "").strip() if llm.key_variable else ""
    if llm.key_variable and not (secret.isascii() and secret.isprintable() and secret):
        raise UserError(f"the environment variable {llm.key_variable} holds no key", f"export {llm.key_variable}=...")
    return secret


def verify(llm: Llm) -> None:
    """Raise UserError where the url or the key cannot be used in a request."""
    parts = urlsplit(llm.url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(f"the LLM's url {llm.url!r} is no web address", "give one like http://localhost:8000/v1")
    key(llm)


def bound(llm: Llm, prompt: str) -> Answer:
    """The most tokens that a question can use: a token has at least one byte, and `max_tokens` bounds the answer."""
    return Answer("", len(prompt.encode()), llm.max_tokens)


def ask(llm: Llm, prompt: str) -> Answer:
    """The answer to one prompt.

    A refused attempt is repeated, after the time that the server names or after a growing one. An attempt that was
    accepted and not answered is not repeated: it may have been paid, so the most that it can cost is charged.
    """
    most, secret = bound(llm, prompt), key(llm)
    try:
        with _session(llm) as session, _post(session, llm, prompt, secret) as response:
            if response.status_code != requests.codes.ok:
                return Answer("", 0, 0, f"status {response.status_code}")
            body = _body(response.raw)
    except (OSError, HTTPError) as error:
        used = Answer("", 0, 0) if _never_sent(error) else most
        return replace(used, error=type(error).__name__)  # without the message, which may quote the request
    answer = _read(body, most)  # read first, because the key may be spelt with JSON's escapes
    return replace(answer, text=answer.text.replace(secret, "***")) if secret else answer


def ask_all(llm: Llm, prompts: Sequence[str]) -> Iterator[tuple[int, Answer]]:
    """The answers as they come, each with its prompt's index. AT_ONCE questions are asked at a time.

    After Ctrl-C the process ends at once: it does not wait for these threads, as it would for a ThreadPoolExecutor's.
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
        session.mount(scheme, DeadlineAdapter(max_retries=retry))
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
        """Add the key. Without a key, this keeps `requests` from taking one from a .netrc."""
        if secret:
            request.headers["Authorization"] = f"Bearer {secret}"
        return request

    return session.post(
        llm.url.rstrip("/") + "/chat/completions",
        json={name: value for name, value in fields.items() if value is not None},
        headers={"Accept-Encoding": "identity"},
        auth=authorise,
        timeout=(CONNECT_SECONDS, llm.seconds),
        allow_redirects=False,  # the key is for this host alone
        stream=True,
    )


def _never_sent(error: Exception) -> bool:
    """Whether there was no connection. Only then does urllib3 retry, and end with a MaxRetryError."""
    return isinstance(error, requests.ConnectionError) and isinstance(error.args[0], MaxRetryError)


def _body(raw: BaseHTTPResponse) -> bytes:
    """The whole body. Raises TooLongError beyond ANSWER_BYTES."""
    body = b""
    while chunk := raw.read1(1 << 16, decode_content=True):
        body += chunk
        if len(body) > ANSWER_BYTES:
            raise TooLongError
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
    """The value at this path in JSON data, None where there is none."""
    try:
        for step in path:
            data = data[step]
    except (LookupError, TypeError):
        return None
    return data


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 1 << 40
