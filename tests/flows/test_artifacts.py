"""What a flow run leaves on Prefect's pages, and the way back from MLflow's run: both are real servers."""

import json
import sys

import pytest
import requests
from checkout import STAGES, parents, runs_in
from servers import answering, free_port

pytestmark = [pytest.mark.slow, pytest.mark.soak]


@pytest.fixture
def mlflow(finished):
    """The address of an MLflow server over the records of the finished checkout."""
    port = free_port()
    words = ["server", "--host", "127.0.0.1", "--port", port, "--workers", "1", "--serve-artifacts"]
    process = finished.start(sys.executable, "-m", "mlflow", *words, "--backend-store-uri", "sqlite:///mlflow.db")
    try:
        answering(f"http://127.0.0.1:{port}/health")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate()


def test_artifacts_are_whole_and_mlflow_leads_back(finished, server, mlflow):
    finished.env["MLFLOW_TRACKING_URI"] = mlflow.replace("//", "//me:Open5esame@")
    finished.change("losses", item={"rule": "item", "alpha": 2.0})
    output = finished.flow()

    runs = runs_in(finished)
    newest = parents(runs)[-1]
    address = newest.data.tags["flow_run_url"]
    flow_run = address.rpartition("/")[2]
    assert requests.get(f"{server}/flow_runs/{flow_run}").json()["state"]["type"] == "COMPLETED"
    note = newest.data.tags["mlflow.note.content"]
    assert note.startswith(f"[The flow run in Prefect]({address})\n\n# Autoregressive ranking")

    found = requests.post(f"{server}/artifacts/filter", json={}).json()
    mine = {each["key"]: each for each in found if each["flow_run_id"] == flow_run}
    assert (mine["results"]["type"], mine["report"]["type"]) == ("table", "markdown")
    assert {row["system"] for row in json.loads(mine["results"]["data"])} >= {"ntp", "item", "bm25", "random"}

    for stage in STAGES:
        assert f"| {stage} | " in mine["report"]["data"]
    assert "Open5esame" not in output + json.dumps(found) + "".join(str(run.data.tags) for run in runs)
