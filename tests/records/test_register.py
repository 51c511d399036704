"""The model registry and the service, in a real MLflow store; `mlflow models serve` itself is slow."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mlflow
import pandas as pd
import pytest
import requests
import small_export
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PythonModelContext
from servers import free_port
from small_export import QUERIES
from test_rooms import imported, reached
from urllib3.util import Retry

from arrange.serving import exported
from records import register, service

NAME = "arrange-animals"


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """An MLflow store without runs, which takes seconds to make."""
    path = tmp_path_factory.mktemp("store")
    MlflowClient(f"sqlite:///{path}/mlflow.db").search_experiments()
    return path / "mlflow.db"


@pytest.fixture(scope="module")
def before():
    """What MLflow had set before these tests, which is set again behind them."""
    uri = mlflow.get_tracking_uri()
    yield
    mlflow.set_tracking_uri(uri)


def client_of(path, empty):
    shutil.copy(empty, path)
    client = MlflowClient(f"sqlite:///{path}/mlflow.db")
    client.create_experiment("arrange", (path / "mlartifacts").as_uri())
    return client


def finished_run(client):
    experiment = client.get_experiment_by_name("arrange").experiment_id
    run = client.create_run(experiment).info.run_id
    client.log_param(run, "rank.beams", 4)
    client.set_terminated(run)
    return run


@pytest.fixture
def client(tmp_path, empty, before, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return client_of(tmp_path, empty)


def registered(client, **how):
    """Register such a small ranker; its version."""
    folder = small_export.write(Path("exports/animals"), **how)
    register.register(client, finished_run(client), folder)
    key = exported.identity(folder)
    [version] = client.search_model_versions(f"name = '{NAME}' and tags.export = '{key}'")
    return version


def champion(client):
    return str(client.get_registered_model(NAME).aliases["champion"])


def test_the_first_version_is_champion_and_has_what_the_run_and_the_export_tell(client, tmp_path):
    version = registered(client)
    assert (str(version.version), champion(client)) == ("1", "1")
    assert version.tags["decision"] == "champion"
    assert version.tags["ranker"] == "animals-item"
    run = client.get_run(version.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"validation.nDCG_10": 0.21, "validation.hit_1": 0.5}
    [found] = client.search_logged_models([run.info.experiment_id])
    assert found.params["rank.beams"] == "4"
    assert {metric.key: metric.value for metric in found.metrics} == run.data.metrics
    kept = {path.suffix for path in (tmp_path / "mlartifacts").rglob("*") if path.is_file()}
    assert ".safetensors" in kept
    assert not kept & {".pkl", ".bin", ".pt", ".pyc"}
    assert not Path("mlruns").exists()


def test_the_same_export_is_registered_once(client):
    first = registered(client)
    again = registered(client)
    assert again.version == first.version
    assert again.tags == first.tags
    made = client.get_run(first.run_id)
    assert len(client.search_logged_models([made.info.experiment_id])) == 1
    runs = client.search_runs([made.info.experiment_id])
    assert [run.data.metrics for run in runs] == [made.data.metrics] * 2  # each made the same files


def test_the_alias_moves_to_a_better_one_only(client):
    registered(client)
    better = registered(client, gain=0.1)
    assert champion(client) == "2"
    assert better.tags["compared_with"] == "1"
    assert float(better.tags["difference"]) == pytest.approx(0.1)
    assert float(better.tags["p"]) < 0.05
    assert (better.tags["queries"], better.tags["decision"]) == ("12", "champion")
    same = registered(client, gain=0.1, seed=5)  # another model, as good
    worse = registered(client, gain=-0.1)
    assert champion(client) == "2"
    for version, difference, p in ((same, 0.0, 1.0), (worse, -0.2, float(better.tags["p"]))):
        assert version.tags["compared_with"] == "2"
        assert version.tags["decision"] == "no champion"
        assert float(version.tags["difference"]) == pytest.approx(difference)
        assert float(version.tags["p"]) == p
        assert version.tags["comparison"].startswith(f"nDCG@10 {difference:+.4f} (")


def test_other_data_are_not_compared_and_the_alias_stays(client):
    registered(client)
    other = registered(client, gain=0.5, hashed="1")
    assert champion(client) == "1"
    assert other.tags["comparison"].startswith("none: the data differ")
    assert (other.tags["decision"], other.tags["compared_with"]) == ("no champion", "1")
    assert "p" not in other.tags


def test_a_champion_of_another_format_is_not_compared(client, tmp_path):
    registered(client)
    [path] = (tmp_path / "mlartifacts").rglob("export.json")
    path.write_text(path.read_text().replace('"version": 1', '"version": 0'))
    assert "is not of version 1" in registered(client, gain=0.1).tags["comparison"]
    assert champion(client) == "1"


@pytest.mark.slow
@pytest.mark.parametrize("interrupted", ["set_registered_model_alias", "set_model_version_tag"])
@pytest.mark.parametrize("already", [0, 1])
def test_an_interrupted_registration_is_taken_up(client, monkeypatch, interrupted, already):
    for gain in [0.0] * already:
        registered(client, gain=gain)
    with monkeypatch.context() as patched:
        patched.setattr(client, interrupted, lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            registered(client, gain=0.1)
    version = registered(client, gain=0.1)
    assert str(version.version) == champion(client) == str(1 + already)
    assert version.tags["decision"] == "champion"
    assert version.tags.get("compared_with") == ("1" if already else None)


def test_one_interrupted_behind_the_alias_keeps_what_was_found(client, monkeypatch):
    registered(client)
    real = client.set_model_version_tag

    def fails_at_last(name, version, tag, value):
        assert tag != "decision"
        real(name, version, tag, value)

    with monkeypatch.context() as patched:
        patched.setattr(client, "set_model_version_tag", fails_at_last)
        with pytest.raises(AssertionError):
            registered(client, gain=0.1)
    assert champion(client) == "2"
    version = registered(client, gain=0.1)
    assert (version.tags["decision"], version.tags["compared_with"]) == ("champion", "1")


def test_an_empty_folder_is_passed_over(client, tmp_path):
    (tmp_path / "none").mkdir()
    register.register(client, finished_run(client), tmp_path / "none")
    assert client.search_registered_models() == []


def test_requirements_name_what_the_service_imports():
    files = ["records/service.py", *reached("records/service.py")]
    names = {name.split(".")[0] for file in files for name in imported(Path(__file__).parents[2] / file)}
    optional = {"scipy", "sklearn", "bm25s", "ir_measures"}  # for docIDs to be made, and for a first stage
    assert names - set(sys.stdlib_module_names) - {"arrange"} - optional == set(register.PACKAGES)


@pytest.fixture(scope="module")
def served(tmp_path_factory, empty, before):
    """A store with one registered ranker, and the ranker."""
    path = tmp_path_factory.mktemp("served")
    client = client_of(path, empty)
    folder = small_export.write(path / "exports" / "animals")
    register.register(client, finished_run(client), folder)
    shutil.rmtree(path / "exports")  # the registry has its own copy
    return path, exported.load(next((path / "mlartifacts").rglob("export.json")).parent)


@pytest.fixture(scope="module")
def loaded(served):
    mlflow.set_tracking_uri(f"sqlite:///{served[0]}/mlflow.db")
    return mlflow.pyfunc.load_model(f"models:/{NAME}@champion")


def as_json(ranked):
    return json.loads(json.dumps([[found._asdict() for found in documents] for documents in ranked]))


@pytest.mark.parametrize(
    ("params", "how"),
    [
        ({}, {"k": 10}),
        ({"k": 3}, {"k": 3}),
        ({"k": None, "among": ["*"]}, {"k": 10}),
        ({"k": 2, "beams": 8}, {"k": 2, "beams": 8}),
        ({"among": ["d3", "d0"]}, {"among": ["d3", "d0"]}),
        ({"among": []}, {"among": []}),
    ],
)
def test_the_service_ranks_as_the_library(loaded, served, params, how):
    assert loaded.predict(QUERIES, params=params) == as_json(served[1].rank(QUERIES, **how))


def test_it_has_a_list_of_documents_for_each_query(loaded):
    [[first, _]] = loaded.predict(["poodle: a dog with a curly coat"], params={"k": 2})
    assert set(first) == {"doc_id", "text", "log_probability"}


BAD = [
    ([""], {}, "query 0 is ''; give it a text"),
    (["dog", 2], {}, "query 1 is 2; give it a text"),
    (["dog", None], {}, "query 1 is nan; give it a text"),
    (["dog"], {"k": 0}, "k is 0; give a number above 0"),
    (["dog"], {"k": 3, "beams": 2}, "2 beams can't find the 3 best documents; give at least as many beams"),
    (["dog"], {"among": ["d1", "nothing"]}, "1 of 2 ids are of no document, the first 'nothing'; leave them out"),
    ([1], {}, "query 0 is 1; give it a text"),
    ([], {}, "provided value only has 0 inputs"),  # this and the next are MLflow's, by the signature
    (["dog"], {"k": "three"}, "Can not safely convert"),
    (["dog"], {"k": 2.5}, "Can not safely convert"),
    (["dog"], {"among": "d1"}, "must be a 1D array"),
]


@pytest.mark.parametrize(("queries", "params", "what"), BAD)
def test_a_bad_request_is_an_invalid_parameter(loaded, queries, params, what):
    with pytest.raises(MlflowException, match=re.escape(what)) as failure:
        loaded.predict(queries, params=params)
    assert failure.value.get_http_status_code() == 400


@pytest.mark.parametrize("recipe", [{}, small_export.IN_CONTEXT])
def test_requests_in_parallel_get_each_its_own_answer(tmp_path, recipe):
    folder = small_export.write(tmp_path / "animals", **recipe)
    ranking = service.RankingService()
    context = PythonModelContext({"export": str(folder)}, None)
    ranking.load_context(context)

    def answer(number):
        return ranking.predict(context, pd.DataFrame(QUERIES), {"among": small_export.IDS[: 2 + number % 3 * 2]})

    alone = [answer(number) for number in range(3)]
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(answer, range(24))) == alone * 8


@pytest.fixture(scope="module")
def server(served, tmp_path_factory):
    """The address of `mlflow models serve`, started in a folder from which the project isn't to be seen."""
    port = free_port()
    dropped = ("PYTHONPATH", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")
    env = {key: value for key, value in os.environ.items() if key not in dropped}
    env |= {"MLFLOW_TRACKING_URI": f"sqlite:///{served[0]}/mlflow.db", "DO_NOT_TRACK": "true"}
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    words = ["models", "serve", "-m", f"models:/{NAME}@champion", "--env-manager", "local", "--port", port]
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    with (elsewhere / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *words],
            cwd=elsewhere,
            env=env,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        session = requests.Session()
        session.trust_env = False
        retry = Retry(total=None, connect=120, backoff_factor=0.5, backoff_max=1)
        session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retry, pool_maxsize=8))
        assert session.get(f"http://127.0.0.1:{port}/ping", timeout=60).status_code == 200, (
            elsewhere / "log"
        ).read_text()
        yield lambda body: session.post(f"http://127.0.0.1:{port}/invocations", json=body, timeout=60)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


@pytest.mark.slow
def test_mlflow_serves_the_champion(server, served):
    def answer(number):
        return server({"inputs": [QUERIES[number % 3]], "params": {"k": 3, "among": ["d1", "d2", "d3", "d4"]}}).json()

    expected = [as_json(served[1].rank([query], 3, among=["d1", "d2", "d3", "d4"])) for query in QUERIES]
    with ThreadPoolExecutor(6) as pool:
        for number, got in enumerate(pool.map(answer, range(18))):
            assert [each["doc_id"] for each in got["predictions"][0]] == [
                each["doc_id"] for each in expected[number % 3][0]
            ]

    for form in ({"inputs": QUERIES}, {"instances": QUERIES}, {"dataframe_split": {"data": [[q] for q in QUERIES]}}):
        done = server(form)
        assert done.status_code == 200, done.text
        assert [len(documents) for documents in done.json()["predictions"]] == [8, 8, 8]

    for queries, params, _ in BAD:
        form = {"inputs": queries} if isinstance(queries, list) else {"dataframe_split": queries.to_dict("split")}
        refused = server(form | {"params": params})
        assert (refused.status_code, "Traceback" in refused.text) == (400, False), (queries, refused.text)
        assert refused.json()["error_code"] in {"INVALID_PARAMETER_VALUE", "BAD_REQUEST"}
    assert server({"queries": ["dog"]}).status_code == 400
    assert server({"inputs": ["dog"], "params": {"k": 1}}).status_code == 200  # and it still answers
