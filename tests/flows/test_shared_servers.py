"""What `make up` settles before it starts anything: ports, workers, who may ask, where records keep their files."""

import pytest
from mlflow import MlflowClient

from arrange.errors import UserError
from flows import up
from records import store


@pytest.fixture
def client(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_BACKEND_STORE_URI", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    return MlflowClient(tracking_uri=store.tracking_uri())


def test_runs_find_the_files_of_records_with_the_server_as_without_it(client):
    up.share_records(is_alone=True)
    made = client.get_experiment_by_name(store.EXPERIMENT)
    assert made.artifact_location == (store.home() / "mlartifacts").as_uri()
    assert store.experiment_id(client) == made.experiment_id


def test_records_with_their_files_on_this_disk_are_not_shared_with_other_machines(client):
    up.share_records(is_alone=False)  # none yet: the server will keep their files
    store.experiment_id(client)
    with pytest.raises(UserError, match=r"on this machine's disk, which others don't see\n.*MLFLOW_BACKEND_STORE_URI"):
        up.share_records(is_alone=False)


def test_a_server_takes_up_records_that_one_for_a_team_began(client):
    client.create_experiment(store.EXPERIMENT, "mlflow-artifacts:/1")
    up.share_records(is_alone=True)
    assert client.get_experiment_by_name(store.EXPERIMENT).artifact_location == "mlflow-artifacts:/1"


def test_another_database_for_the_team_is_left_to_it(client, monkeypatch):
    kept = client.get_experiment(store.experiment_id(client)).artifact_location
    monkeypatch.setenv("MLFLOW_BACKEND_STORE_URI", "sqlite:///team.db")
    up.share_records(is_alone=False)
    assert client.get_experiment_by_name(store.EXPERIMENT).artifact_location == kept


def test_records_that_a_server_has_the_files_of_are_not_written_without_it(client):
    client.create_experiment(store.EXPERIMENT, "mlflow-artifacts:/1")
    with pytest.raises(UserError, match=r"given to an MLflow server\nlet MLFLOW_TRACKING_URI name that server"):
        store.experiment_id(client)


def test_one_worker_for_up_to_one_gpu_and_one_for_each_of_several():
    (name, (words, env)) = next(iter(up.workers(1).items()))
    assert up.workers(0) == up.workers(1)
    assert (name, words[-2:], env) == ("worker", ["--limit", "2"], {})
    assert {name: (words[-1], env) for name, (words, env) in up.workers(2).items()} == {
        "worker-0": ("1", {"CUDA_VISIBLE_DEVICES": "0"}),
        "worker-1": ("1", {"CUDA_VISIBLE_DEVICES": "1"}),
    }


def test_prefect_lets_only_its_own_pages_ask():
    _, env = up.prefect_server("127.0.0.1", "http://127.0.0.1:4200")
    assert env["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"] == "http://127.0.0.1:4200,http://localhost:4200"
