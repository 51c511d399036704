"""What the server refuses, on HTTP and on its command line."""

import sys
import threading

import pytest
import requests
from served import error_of, held, serving
from small_export import QUERIES

from arrange.serving import __main__ as command
from arrange.serving.limits import Limits, limits


@pytest.fixture(scope="module")
def asking(folder):
    with serving(folder, body=10_000, queries=4, characters=50, beams=20) as client:
        yield client


@pytest.mark.parametrize(
    ("body", "code", "what"),
    [
        ({"queries": ["a"] * 5}, 413, "the request has 5 queries"),
        ({"queries": ["a" * 51]}, 413, "the request has 51 characters"),
        ({"queries": ["a"], "k": 21}, 413, "the request has 21 beams"),
        ({"queries": ["a"], "beams": 21}, 413, "the request has 21 beams"),
        ({"queries": ["a"], "among": ["d"] * 3000}, 413, "the body has more than 10000 bytes"),
        ({"queries": []}, 400, "there are no queries"),
        ({"queries": "dog"}, 400, "queries: Input should be a valid list"),
        ({"queries": ["dog", 2]}, 400, "queries.1: Input should be a valid string"),
        ({"queries": ["dog"], "k": True}, 400, "k: Input should be a valid integer"),
        ({"queries": ["dog"], "k": "2"}, 400, "k: Input should be a valid integer"),
        ({"queries": ["dog"], "size": 2}, 400, "size: Extra inputs are not permitted"),
        ({"k": 2}, 400, "queries: Field required"),
        ({"queries": ["dog"], "among": ["d1", "x"]}, 400, "1 of 2 ids are of no document, the first 'x'"),
    ],
)
def test_what_is_too_much_or_wrong_is_refused(asking, body, code, what):
    assert error_of(asking.post(**body), code) == what


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"{", "the body, character 1: JSON decode error"),
        (b"\xff\xfe", "the body, character 0: JSON decode error"),
        (b"[" * 9000, "There was an error parsing the body"),
        (b'{"queries": ["dog"], "k": ' + b"9" * 5000 + b"}", "There was an error parsing the body"),
        (b'{"queries": ["\\ud800"]}', "query 0 isn't UTF-8: '\\ud800'"),
        (b'{"queries": ["dog"], "among": ["\\ud800"]}', "1 of 1 ids are of no document, the first '\\ud800'"),
        (b'{"queries": ["dog"], "k": NaN}', "k: Input should be a valid integer"),
    ],
)
def test_a_broken_body_is_refused(asking, body, what):
    sent = requests.post(f"{asking.url}/rank", data=body, headers={"Content-Type": "application/json"}, timeout=60)
    assert error_of(sent, 400).startswith(what)
    parts = requests.post(
        f"{asking.url}/rank", data=iter([b" " * 6000, b" " * 6000]), headers={"Content-Type": "application/json"}
    )
    assert error_of(parts, 413) == "the body has more than 10000 bytes"  # without a length in its header


def test_other_paths_and_methods_are_refused(asking):
    assert error_of(asking.get("/nothing"), 404) == "Not Found"
    assert error_of(asking.get("/rank"), 405) == "Method Not Allowed"


def test_a_full_queue_refuses_at_once_and_its_server_is_not_ready(folder):
    with serving(folder, queue=4) as client:
        with held(client) as busy:
            waiting = [busy.submit(queries=["fox"]), busy.submit(queries=QUERIES)]
            client.until("arrange_queue_queries", 4)
            refused = client.post(queries=["one more"])
            assert error_of(refused, 429) == "4 queries wait already"
            assert (refused.headers["Retry-After"], refused.json()["error"]["type"]) == ("1", "rate_limit_error")
            assert error_of(client.get("/ready"), 503) == "4 queries wait"
            assert client.get("/health").json() == {"status": "ok"}
        assert [each.result().status_code for each in waiting] == [200, 200]
        assert client.post(queries=["a"] * 5).status_code == 200  # more than the queue holds, but nobody waits
        assert client.get("/ready").status_code == 200


def test_what_takes_too_long_is_refused_and_leaves_the_queue(folder):
    with serving(folder, timeout=0.2) as client:
        free = threading.Event()
        client.state.batcher.thread.submit(free.wait)
        try:
            late = [client.post(queries=["fox"]) for _ in range(2)]
            assert [error_of(each, 503) for each in late] == ["no answer within 0.2 seconds"] * 2
            assert client.numbers()["arrange_queue_queries"] == 0
        finally:
            free.set()
        client.until("arrange_requests_total /rank 503", 2)
        client.state.limits.__dict__["timeout"] = 60.0
        assert client.post(queries=["fox"]).status_code == 200


def test_a_failure_of_the_model_is_an_answer_and_the_queue_goes_on(folder, monkeypatch):
    with serving(folder) as client:
        model = client.state.batcher.served.exported.model
        with monkeypatch.context() as broken:
            broken.setattr(model.base_model, "forward", None)
            assert error_of(client.post(queries=["fox"]), 500) == "the server failed"
        assert client.post(queries=["fox"]).status_code == 200
        assert client.numbers()["arrange_requests_total /rank 500"] == 1


def test_a_server_whose_queue_stands_still_is_not_healthy(folder):
    with serving(folder) as client:
        worker = client.state.worker
        worker.get_loop().call_soon_threadsafe(worker.cancel)
        while not worker.done():
            pass
        assert error_of(client.get("/health"), 503) == "the queue is not worked off any more"


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["nowhere"], "nowhere is no exported ranker: it has no export.json\ngive the folder of one"),
        (["FOLDER", "--queue", "0"], "--queue is 0\nInput should be greater than 0"),
        (["FOLDER", "--timeout", "inf"], "--timeout is inf\nInput should be less than inf"),
        (["FOLDER", "--port", "65536"], "--port is 65536\ngive a number"),
        (["FOLDER", "--device", "xpu:99"], "--device is xpu:99: "),
        (["FOLDER", "--device", "toaster"], "--device is toaster: "),
        (["FOLDER", "--wait", "soon"], "--wait is soon\nInput should be a valid number"),
    ],
)
def test_mistakes_on_the_command_line_are_two_lines(folder, words, what):
    with pytest.raises(SystemExit) as end:
        command.main([str(folder) if word == "FOLDER" else word for word in words])
    assert str(end.value.code).startswith(what)
    assert str(end.value.code).count("\n") == 1


def test_without_its_libraries_the_command_names_the_extra(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(SystemExit, match=r"uvicorn, which isn't installed\npip install 'arrange\[serving\]'"):
        command.main([str(folder)])


def test_the_command_has_a_flag_for_each_limit():
    given = command.parser().parse_args(["exports/x", "--batch", "4", "--wait", "0"])
    assert limits({name: getattr(given, name) for name in vars(Limits())}) == Limits(batch=4, wait=0.0)
