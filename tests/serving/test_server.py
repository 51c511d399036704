"""The server against the library: a real one in a thread or a process of its own, asked over HTTP."""

import itertools
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
import small_export
import torch
from served import Asking, error_of, held, serving
from servers import answering, free_port
from small_export import IDS, IN_CONTEXT, NAMES, QUERIES

from arrange.errors import UserError
from arrange.serving import exported, server
from arrange.serving.limits import Limits

OTHER = [*NAMES[4:], "domestic dog", "hen"]  # another catalogue, whose ids are d0, d1 ... as well


@pytest.fixture(scope="module")
def asking(folder):
    with serving(folder, body=10_000, queries=4, characters=50, beams=20) as client:
        yield client


def check(rankings, expected):
    """The documents are the same; the scores may differ in the last digits, as others were in the batch."""
    scores = [each.pop("log_probability") for ranking in rankings for each in ranking]
    assert rankings == [[{"doc_id": e.doc_id, "text": e.text} for e in ranking] for ranking in expected]
    assert scores == pytest.approx([each.log_probability for ranking in expected for each in ranking], abs=1e-5)


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
