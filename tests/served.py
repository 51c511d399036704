"""The server over an exported ranker in a thread of the tests, asked over HTTP."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace

import requests
import uvicorn
from prometheus_client.parser import text_string_to_metric_families
from servers import answering
from small_export import QUERIES

from arrange.serving import server
from arrange.serving.limits import Limits


class Asking:
    """A client of one server."""

    def __init__(self, url, state=None):
        self.url, self.state = url, state

    def post(self, path="/rank", **body):
        return requests.post(f"{self.url}{path}", json=body, timeout=60)

    def get(self, path):
        return requests.get(f"{self.url}{path}", timeout=60)

    def numbers(self):
        """The values at /metrics, by the text of their names and labels."""
        families = text_string_to_metric_families(self.get("/metrics").text)
        samples = [sample for family in families for sample in family.samples]
        return {" ".join([one.name, *labels(one)]): one.value for one in samples}

    def until(self, name, value):
        for _ in range(100_000):
            if self.numbers().get(name, 0) >= value:
                return
        raise AssertionError(f"{name} stays below {value}: {self.numbers()}")


def labels(sample):
    return [sample.labels[label] for label in ("path", "code", "le") if label in sample.labels]


@contextmanager
def serving(folder, **given):
    """A server in a thread. It waits for no second request, unless told to."""
    app = server.create(folder, "cpu", Limits(**{"wait": 0.0, **given}))
    running = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical"))
    socket = running.config.bind_socket()
    thread = threading.Thread(target=running.run, kwargs={"sockets": [socket]})
    thread.start()
    url = f"http://127.0.0.1:{socket.getsockname()[1]}"
    try:
        answering(f"{url}/health")
        yield Asking(url, app.state)
    finally:
        running.should_exit = True
        thread.join()


@contextmanager
def held(asking):
    """While the block runs, nothing is ranked: a request of one query is in its batch, and what comes then waits."""
    free = threading.Event()
    asking.state.batcher.thread.submit(free.wait)
    with ThreadPoolExecutor(16) as pool:
        before = asking.numbers()["arrange_batch_queries_count"]
        first = pool.submit(asking.post, queries=QUERIES[:1])
        asking.until("arrange_batch_queries_count", before + 1)
        try:
            yield SimpleNamespace(first=first, submit=lambda **body: pool.submit(asking.post, **body))
        finally:
            free.set()


def error_of(answer, code):
    """The two lines of a refusal."""
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (code, code)
    what, remedy = error["message"].split("\n")
    assert what
    assert remedy
    return what
