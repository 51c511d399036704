"""Around the server's application: refusals, limits of size and time, the numbers for Prometheus."""

import asyncio
import time
from typing import NoReturn

from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from arrange.serving.limits import Limits

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)  # bounds of the latency's histogram
QUERIES = (1, 2, 4, 8, 16, 32, 64, 128, 256)  # of the batches'
HELP = "docs/serving.md describes requests"


class Metrics:
    """The numbers of one server."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter("arrange_requests", "answers", ["path", "code"], registry=registry)
        self.seconds = Histogram(
            "arrange_request_seconds", "from request to answer", ["path"], buckets=SECONDS, registry=registry
        )
        self.batch = Histogram("arrange_batch_queries", "queries of a batch", buckets=QUERIES, registry=registry)
        self.queue = Gauge("arrange_queue_queries", "queries that wait", registry=registry)
        self.reloads = Counter("arrange_reloads", "rankers that took another's place", registry=registry)


class Gate:
    """The application within the limits of a body's size and of time; its answers are counted and timed.

    paths: those that have numbers of their own. untimed: the one that may take any time.
    """

    def __init__(self, app: ASGIApp, limits: Limits, metrics: Metrics, paths: frozenset[str], untimed: str) -> None:
        self.app, self.limits, self.metrics, self.paths, self.untimed = app, limits, metrics, paths, untimed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        started, size, code = time.perf_counter(), 0, 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self.limits.body:
                refuse(413, f"the body has more than {self.limits.body} bytes", "send fewer queries in a request")
            return message

        async def noted(message: Message) -> None:
            nonlocal code
            code = message.get("status", code)
            await send(message)

        path = scope["path"] if scope["path"] in self.paths else "other"
        try:
            async with asyncio.timeout(None if path == self.untimed else self.limits.timeout):
                await self.app(scope, counted, noted)
        except TimeoutError:
            if not code:
                what = f"no answer within {self.limits.timeout:g} seconds\nsend it again later, or fewer queries"
                await refusal(503, what)(scope, receive, noted)
        finally:
            self.metrics.requests.labels(path, code or 500).inc()
            self.metrics.seconds.labels(path).observe(time.perf_counter() - started)


def refuse(code: int, what: str, remedy: str) -> NoReturn:
    """Answer with this status and these two lines."""
    raise HTTPException(code, f"{what}\n{remedy}")


def refusal(code: int, message: str) -> JSONResponse:
    """A refusal as OpenAI's clients read it."""
    kind = "rate_limit_error" if code == 429 else "server_error" if code >= 500 else "invalid_request_error"
    headers = {"Retry-After": "1"} if code in {429, 503} else None
    return JSONResponse({"error": {"message": message, "type": kind, "code": code}}, code, headers)


async def answer_to(_: Request, error: Exception) -> Response:
    """The answer to an error of a request, of this project or of the framework."""
    if isinstance(error, RequestValidationError):
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"][1:]) or "the body"
        where = f"the body, character {where}" if fault["type"] == "json_invalid" else where
        return refusal(400, f"{where}: {fault['msg']}\n{HELP}")
    code, message = getattr(error, "status_code", 400), str(getattr(error, "detail", error))
    return refusal(code, message if "\n" in message else f"{message}\n{HELP}")
