"""Places that are relative to the checkout, in a run that works in a workspace; and a store that no run can use."""

import shutil

import pytest
from checkout import outcomes
from mlflow import MlflowClient

from records import store

pytestmark = pytest.mark.slow


@pytest.mark.soak
def test_a_relative_store_is_the_checkout_s_and_outlives_the_workspace(finished):
    finished.env[store.TRACKING] = "sqlite:///rel.db"
    finished.flow("--set", "evaluate.resamples=30")
    (workspace,) = finished.path.glob(".workspaces/*")
    assert not (workspace / "rel.db").exists()
    client = MlflowClient(f"sqlite:///{finished.path / 'rel.db'}")
    runs = client.search_runs([client.get_experiment_by_name(store.EXPERIMENT).experiment_id])
    (parent,) = [run for run in runs if run.info.run_name.startswith("pipeline ")]
    assert parent.data.params["evaluate.resamples"] == "30"


def test_a_store_that_no_run_can_use_is_told_before_the_work(finished):
    client = MlflowClient(f"sqlite:///{finished.path / 'mlflow.db'}")
    client.delete_experiment(client.get_experiment_by_name(store.EXPERIMENT).experiment_id)
    output = finished.flow(code=1)  # a copy's store has no record yet, though no stage is stale
    what, _ = output.splitlines()[-2:]
    assert "which can't be used: " in what
    assert "active" in what
    assert outcomes(output) == {}
    finished.env[store.TRACKING] = "./mlruns"
    assert "which can't be used: " in finished.flow(code=1).splitlines()[-2]


@pytest.mark.soak
def test_a_relative_model_folder_is_the_checkout_s(finished):
    mine = finished.path.parent / "mine"
    shutil.copytree(finished.path / "models" / "wordnet-item", mine)
    shutil.copytree(finished.path / "docids" / "wordnet-text" / "tokenizer", mine, dirs_exist_ok=True)
    words = ("--set", "finetune.model=../mine", "rankers.wordnet-ntp=null")
    found = outcomes(finished.run("python", "-m", "flows", "ranking", *words))
    assert found["finetune@wordnet-item"] == "ran"
    (workspace,) = finished.path.glob(".workspaces/*")
    assert f"model: {mine}\n" in (workspace / "params.yaml").read_text()
