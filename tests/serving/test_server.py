"""The server against the library: a real one in a thread or a process of its own, asked over HTTP."""

import itertools
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import requests
import small_export
import torch
import uvicorn
from prometheus_client.parser import text_string_to_metric_families
from servers import answering, free_port
from small_export import IDS, IN_CONTEXT, NAMES, QUERIES

from arrange.errors import UserError
from arrange.serving import __main__ as command
from arrange.serving import exported, server
from arrange.serving.limits import Limits, limits

OTHER = [*NAMES[4:], "domestic dog", "hen"]  # another catalogue, whose ids are d0, d1 ... as well


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


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return small_export.write(tmp_path_factory.mktemp("exports") / "animals")


@pytest.fixture(scope="module")
def ranker(folder):
    return exported.load(folder)


@pytest.fixture(scope="module")
def asking(folder):
    with serving(folder, body=10_000, queries=4, characters=50, beams=20) as client:
        yield client


def check(rankings, expected):
    """The documents are the same; the scores may differ in the last digits, as others were in the batch."""
    scores = [each.pop("log_probability") for ranking in rankings for each in ranking]
    assert rankings == [[{"doc_id": e.doc_id, "text": e.text} for e in ranking] for ranking in expected]
    assert scores == pytest.approx([each.log_probability for ranking in expected for each in ranking], abs=1e-5)


def error_of(answer, code):
    """The two lines of a refusal."""
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (code, code)
    what, remedy = error["message"].split("\n")
    assert what
    assert remedy
    return what


def mixed():
    """Requests that differ in all that may differ; some are wrong."""
    queries = [QUERIES[:1], QUERIES[1:], QUERIES, ["fox"], [" "]]
    among = [None, ["d1", "d5", "d7", "d2"], ["d3"], [], IDS, ["d1", "lion"]]
    width = [(10, None), (2, 8), (0, None)]
    every = itertools.product(queries, among, width)
    return [{"queries": q, "among": a, "k": k, "beams": b} for q, a, (k, b) in every]


def outcome(ranker, body):
    """What the library gives or raises."""
    try:
        return ranker.rank(**body)
    except UserError as error:
        return error


def test_concurrent_mixed_requests_get_what_the_library_gives(folder, ranker):
    asked = mixed()
    with serving(folder, wait=0.01, batch=16) as client, ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda body: client.post(**body), asked))
        numbers = client.numbers()
    queries = 0
    for body, answer in zip(asked, answers, strict=True):
        queries += len(body["queries"])
        expected = outcome(ranker, body)
        if isinstance(expected, UserError):
            assert error_of(answer, 400) == expected.what
            continue
        assert answer.status_code == 200
        assert answer.json()["export"] == exported.identity(folder)
        check(answer.json()["rankings"], expected)
        legal = IDS if body["among"] is None else body["among"]
        assert {each["doc_id"] for ranking in answer.json()["rankings"] for each in ranking} <= {*legal}
    assert numbers["arrange_batch_queries_sum"] == queries
    assert sum(value for name, value in numbers.items() if name.startswith("arrange_requests_total /rank")) == 90


def test_what_waits_is_ranked_in_one_batch_and_all_is_counted(folder):
    with serving(folder, batch=4) as client:
        with held(client) as busy:
            others = [busy.submit(queries=queries) for queries in (["fox"], ["wolf"], ["cat", "dog"])]
            client.until("arrange_queue_queries", 4)
            others += [busy.submit(queries=["hen"])]
            client.until("arrange_queue_queries", 5)
        assert [each.result().status_code for each in [busy.first, *others]] == [200] * 5
        assert client.post(queries=["a", "b", "c", "d", "e"]).status_code == 200  # a large one goes alone
        assert client.post(queries=[]).status_code == 400
        assert client.get("/nothing").status_code == 404
        numbers = client.numbers()
    counts = {name: value for name, value in numbers.items() if not name.endswith("_created")}
    batches = {name.split()[-1]: value for name, value in counts.items() if "batch_queries_bucket" in name}
    assert [batches[most] for most in ("1.0", "2.0", "4.0", "8.0", "+Inf")] == [2, 2, 3, 4, 4]  # of 1, 4, 1 and 5
    assert counts["arrange_batch_queries_sum"] == 11
    assert counts["arrange_queue_queries"] == 0
    assert counts["arrange_requests_total /rank 200"] == 6
    assert counts["arrange_requests_total /rank 400"] == 1
    assert counts["arrange_requests_total other 404"] == 1
    assert counts["arrange_request_seconds_count /rank"] == 7
    assert counts["arrange_request_seconds_bucket /rank +Inf"] == 7
    assert counts["arrange_reloads_total"] == 0


def test_what_waits_while_the_ranker_is_changed_is_answered_by_the_new_one(folder, tmp_path):
    place = shutil.copytree(folder, tmp_path / "served")
    with serving(place) as client:
        with held(client) as busy:
            second = busy.submit(queries=QUERIES)
            client.until("arrange_queue_queries", 3)
            small_export.write(place, seed=5, names=OTHER)
            told = client.post("/reload").json()
        old, new = exported.load(folder), exported.load(place)
        assert told == {
            "export": exported.identity(place),
            "data": "animals",
            "ranker": "animals-item",
            "documents": 6,
        }
        assert client.get("/ready").json() == told
        assert busy.first.result().json()["export"] == exported.identity(folder)
        check(busy.first.result().json()["rankings"], old.rank(QUERIES[:1]))
        assert second.result().json()["export"] == exported.identity(place)
        check(second.result().json()["rankings"], new.rank(QUERIES))
        assert client.numbers()["arrange_reloads_total"] == 1


def test_changes_under_load_neither_drop_nor_mix_an_answer(folder, tmp_path):
    place = shutil.copytree(folder, tmp_path / "served")
    rankers = {exported.identity(folder): exported.load(folder)}
    done = threading.Event()

    def ask(client):
        answers = []
        while not done.is_set():
            answers.append(client.post(queries=QUERIES, k=3))
        return answers

    with serving(place, batch=8) as client, ThreadPoolExecutor(6) as pool:
        clients = [pool.submit(ask, client) for _ in range(6)]
        try:
            for seed in (5, 6, 7):
                small_export.write(place, seed=seed, names=OTHER[seed - 5 :])
                key = client.post("/reload").json()["export"]
                rankers[key] = exported.load(place)
                assert client.post(queries=["fox"]).json()["export"] == key
        finally:
            done.set()
        answers = [answer for each in clients for answer in each.result()]
    assert len(rankers) == 4
    expected = {key: ranker.rank(QUERIES, k=3) for key, ranker in rankers.items()}
    assert {answer.status_code for answer in answers} == {200}
    for answer in answers:
        check(answer.json()["rankings"], expected[answer.json()["export"]])


def test_a_ranker_that_cannot_be_loaded_changes_nothing(folder, ranker, tmp_path):
    place = shutil.copytree(folder, tmp_path / "served")
    with serving(place) as client:
        for file in ("model/model.safetensors", "trie.safetensors"):  # in place: what is mapped into memory changes
            content = (place / file).read_bytes()
            (place / file).write_bytes(content[:-20] + bytes(byte ^ 1 for byte in content[-20:]))
        assert "do not match its checksum" in error_of(client.post("/reload"), 409)
        check(client.post(queries=QUERIES).json()["rankings"], ranker.rank(QUERIES))
        shutil.rmtree(place)
        assert "is no exported ranker" in error_of(client.post("/reload"), 409)
        answer = client.post(queries=QUERIES).json()
        assert answer["export"] == exported.identity(folder)
        check(answer["rankings"], ranker.rank(QUERIES))
        assert client.numbers()["arrange_reloads_total"] == 0


def test_a_folder_that_changes_while_it_is_read_is_not_served(folder, tmp_path, monkeypatch):
    place = shutil.copytree(folder, tmp_path / "served")
    load = server.prepare.__globals__["load"]

    def written_meanwhile(*given):
        found = load(*given)
        small_export.write(place, seed=5)
        return found

    monkeypatch.setitem(server.prepare.__globals__, "load", written_meanwhile)
    with pytest.raises(UserError, match=r"changed while it was read\n"):
        server.create(place, "cpu", Limits())


def test_weights_that_change_torchs_default_type_are_read_between_batches(folder, tmp_path, monkeypatch):
    place, threads = shutil.copytree(folder, tmp_path / "served"), []

    def seen(*given):
        threads.append(threading.current_thread().name)
        return prepare(*given)

    with serving(place) as client:
        prepare = server.prepare
        monkeypatch.setattr(server, "prepare", seen)
        assert client.post("/reload").status_code == 200
        config = place / "model" / "config.json"
        config.write_text(config.read_text().replace("float32", "bfloat16"))
        assert client.post("/reload").status_code == 200
        assert client.state.batcher.served.exported.model.dtype == torch.bfloat16
        assert client.post(queries=QUERIES).status_code == 200
    assert ["ranking" in name for name in threads] == [False, True]


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


def test_completions_are_the_ranking_as_openais_clients_read_it(asking, ranker, folder):
    [expected] = ranker.rank(QUERIES[:1], k=3, beams=8, among=IDS[:5])
    body = {"model": "animals", "prompt": QUERIES[0], "n": 3, "best_of": 8, "among": IDS[:5], "logprobs": 1}
    answer = asking.post("/v1/completions", **body).json()
    assert (answer["object"], answer["model"]) == ("text_completion", "animals")
    assert answer["system_fingerprint"] == exported.identity(folder)
    assert [each["text"] for each in answer["choices"]] == [each.doc_id for each in expected]
    assert [each["document"] for each in answer["choices"]] == [each.text for each in expected]
    scores = [each["logprobs"]["token_logprobs"][0] for each in answer["choices"]]
    assert scores == pytest.approx([each.log_probability for each in expected], abs=1e-5)
    assert [each["logprobs"]["tokens"] for each in answer["choices"]] == [[each.doc_id] for each in expected]


def test_a_choices_index_tells_its_prompt_even_where_documents_are_few(asking):
    body = {"model": "animals", "prompt": QUERIES, "n": 3, "among": ["d1", "d4"]}
    choices = asking.post("/v1/completions", **body).json()["choices"]
    assert [each["index"] for each in choices] == [0, 1, 3, 4, 6, 7]
    assert {each["logprobs"] for each in choices} == {None}


def test_completions_know_one_model_and_no_field_that_does_nothing(asking):
    assert [each["id"] for each in asking.get("/v1/models").json()["data"]] == ["animals"]
    assert error_of(asking.post("/v1/completions", model="gpt", prompt="dog"), 404) == "there is no model 'gpt' here"
    sampled = asking.post("/v1/completions", model="animals", prompt="dog", temperature=1.0)
    assert error_of(sampled, 400) == "temperature: Extra inputs are not permitted"


def test_a_ranker_that_reads_its_candidates_is_served_too(tmp_path):
    place = small_export.write(tmp_path / "read", **IN_CONTEXT)
    reader = exported.load(place)
    with serving(place, batch=8) as client:
        with held(client) as busy:
            asked = [{"queries": QUERIES, "among": ["d7", "d1", "d4"]}, {"queries": ["fox"], "among": ["d0", "d2"]}]
            answers = [busy.submit(**body) for body in asked]
            client.until("arrange_queue_queries", 4)
        assert error_of(busy.first.result(), 400) == "this ranker reads its candidates in the prompt"
        for body, answer in zip(asked, answers, strict=True):
            check(answer.result().json()["rankings"], reader.rank(**body))


def test_a_process_answers_what_it_accepted_before_it_ends(folder, ranker):
    port = free_port()
    words = [sys.executable, "-m", "arrange.serving", str(folder), "--port", port, "--wait", "3", "--batch", "9"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process, ThreadPoolExecutor(1) as pool:
        client = Asking(f"http://127.0.0.1:{port}")
        try:
            answering(f"{client.url}/ready")
            last = pool.submit(client.post, queries=QUERIES)
            client.until("arrange_queue_queries", 3)
            process.send_signal(signal.SIGTERM)
            check(last.result().json()["rankings"], ranker.rank(QUERIES))
            errors = process.communicate()[1]
        finally:
            process.kill()
    assert process.returncode in {0, -signal.SIGTERM}
    assert "Traceback" not in errors
    with pytest.raises(requests.ConnectionError):
        client.get("/health")


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
