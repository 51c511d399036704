"""The HTTP server over an exported ranker: /rank, /v1/completions, /health, /ready, /metrics, /reload.

docs/serving.md describes requests and answers. Every refusal is {"error": {"message", "type", "code"}}; the message has
two lines, what is wrong and what to do.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import generate_latest
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException as AnyHTTPException

from arrange.errors import UserError
from arrange.serving.batching import Answer, Batcher, Served, prepare
from arrange.serving.exported import Asked, Ranked
from arrange.serving.gate import Gate, Metrics, answer_to, refusal, refuse
from arrange.serving.limits import Limits

RELOAD = "/reload"
router = APIRouter()


class RankBody(BaseModel):
    """A request to /rank; the fields are the arguments of `Exported.rank`; fused: `rank_fused` answers."""

    model_config = ConfigDict(strict=True, extra="forbid")
    queries: list[str]
    k: int = 10
    among: list[str] | None = None
    beams: int | None = None
    fused: bool = False


class CompletionBody(BaseModel):
    """A request to /v1/completions. prompt: queries; n: documents of each; best_of: beams; among: as in /rank."""

    model_config = ConfigDict(strict=True, extra="forbid")
    model: str
    prompt: str | list[str]
    n: int = 1
    best_of: int | None = None
    logprobs: int | None = None
    among: list[str] | None = None


def create(folder: Path, device: str, limits: Limits) -> FastAPI:
    """The server's application, with the ranker loaded. Raises UserError as `prepare` does."""
    metrics, served = Metrics(), prepare(folder, device, limits.batch)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.batcher = batcher = Batcher(served, limits.wait, metrics.batch.observe)
        app.state.reloading, app.state.worker = asyncio.Lock(), asyncio.create_task(batcher.run())
        metrics.queue.set_function(lambda: batcher.queries)
        yield
        app.state.worker.cancel()
        batcher.thread.shutdown(wait=False, cancel_futures=True)

    app = FastAPI(title="arrange", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.folder, app.state.device, app.state.limits, app.state.metrics = folder, device, limits, metrics
    app.include_router(router)
    for kind in (UserError, RequestValidationError, AnyHTTPException):
        app.add_exception_handler(kind, answer_to)
    app.add_exception_handler(Exception, lambda *_: refusal(500, "the server failed\nits log says why"))
    paths = frozenset(getattr(route, "path", "") for route in router.routes)
    app.add_middleware(Gate, limits=limits, metrics=metrics, paths=paths, untimed=RELOAD)
    return app


@router.post("/rank")
async def rank(body: RankBody, request: Request) -> Response:
    """The best documents of each query."""
    answer = await answered(request, Asked(body.queries, body.k, body.among, body.beams, body.fused))
    rankings = [[found._asdict() for found in documents] for documents in answer.ranked]
    return JSONResponse({"export": answer.served.key, "rankings": rankings})


@router.post("/v1/completions")
async def completions(body: CompletionBody, request: Request) -> Response:
    """OpenAI's completions: the prompts are queries, the choices documents. The model is named after the data."""
    if body.model != (name := about(request.app.state.batcher.served)["data"]):
        refuse(404, f"there is no model {body.model!r} here", f"give {name!r}")
    prompts = [body.prompt] if isinstance(body.prompt, str) else body.prompt
    answer = await answered(request, Asked(prompts, body.n, body.among, body.best_of))
    choices = [
        choice(number * body.n + place, found, body.logprobs is not None)  # as if no prompt had fewer than n
        for number, documents in enumerate(answer.ranked)
        for place, found in enumerate(documents)
        if isinstance(found, Ranked)
    ]
    made = {"id": f"cmpl-{time.time_ns():x}", "object": "text_completion", "created": int(time.time())}
    return JSONResponse(made | {"model": name, "system_fingerprint": answer.served.key, "choices": choices})


def choice(index: int, found: Ranked, with_logprobs: bool) -> dict[str, Any]:
    """A document as a choice of OpenAI's; for log-probabilities it is one token."""
    logprobs = {"tokens": [found.doc_id], "token_logprobs": [found.log_probability], "text_offset": [0]}
    made = {"index": index, "text": found.doc_id, "finish_reason": "stop", "document": found.text}
    return made | {"logprobs": logprobs if with_logprobs else None}


@router.get("/v1/models")
async def models(request: Request) -> Response:
    """The one model, as OpenAI's clients list it."""
    model = {"id": about(request.app.state.batcher.served)["data"], "object": "model", "created": 0}
    return JSONResponse({"object": "list", "data": [model | {"owned_by": "arrange"}]})


@router.get("/health")
async def health(request: Request) -> Response:
    """Whether the queue is worked off; if not, the server has to be started again."""
    if request.app.state.worker.done():
        refuse(503, "the queue is not worked off any more", "start the server again")
    return JSONResponse({"status": "ok"})


@router.get("/ready")
async def ready(request: Request) -> Response:
    """The ranker, while there is room in the queue."""
    batcher, limits = request.app.state.batcher, request.app.state.limits
    if batcher.queries >= limits.queue:
        refuse(503, f"{batcher.queries} queries wait", "send requests elsewhere")
    return JSONResponse(about(batcher.served))


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """The numbers, for Prometheus."""
    return Response(generate_latest(request.app.state.metrics.registry), media_type="text/plain; version=0.0.4")


@router.post(RELOAD)
async def reload(request: Request) -> Response:
    """Load the folder anew, beside the ranker that goes on serving, then serve that; a failure changes nothing."""
    state, loop = request.app.state, asyncio.get_running_loop()
    async with state.reloading:
        # For weights of another type than torch's default transformers changes that default, in all threads.
        thread = None if _weights(state.folder) == "float32" else state.batcher.thread
        try:
            served = await loop.run_in_executor(thread, prepare, state.folder, state.device, state.limits.batch)
        except UserError as error:
            refuse(409, error.what, error.remedy)
        state.batcher.served = served
    state.metrics.reloads.inc()
    return JSONResponse(about(served))


def about(served: Served) -> dict[str, Any]:
    """What is served."""
    card, documents = served.exported.card, served.exported.catalogue.docids.height
    return {"export": served.key, "data": card["data"], "ranker": card["ranker"], "documents": documents}


async def answered(request: Request, asked: Asked) -> Answer:
    """The answer to a request within the limits."""
    batcher, limits = request.app.state.batcher, request.app.state.limits
    sizes = {
        "queries": len(asked.queries),
        "characters": max(map(len, asked.queries), default=0),
        "beams": max(asked.k, asked.beams or 0),
    }
    for name, size in sizes.items():
        if size > (most := getattr(limits, name)):
            refuse(413, f"the request has {size} {name}", f"give at most {most}")
    if not asked.queries:
        raise UserError("there are no queries", "give at least one")
    if batcher.waiting and batcher.queries + len(asked.queries) > limits.queue:
        refuse(429, f"{batcher.queries} queries wait already", "send it again later")
    answer: Answer = await batcher.rank(asked)
    return answer


def _weights(folder: Path) -> str:
    """The type of a ranker's weights; "" if that can't be told."""
    try:
        return str(json.loads((folder / "model" / "config.json").read_text())["dtype"])
    except (OSError, ValueError, LookupError, TypeError):
        return ""
