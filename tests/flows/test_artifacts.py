"""What a flow run leaves on Prefect's pages leads into MLflow, and MLflow's run leads back: both are real servers."""

import json
import re
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


def test_artifacts_are_whole_and_lead_to_mlflow_which_leads_back(finished, server, mlflow):
    finished.env["MLFLOW_TRACKING_URI"] = mlflow.replace("//", "//me:Open5esame@")
    finished.change("searches", **{"evolution-1": {"arm": "evolution", "seed": 2}})
    finished.change("search", budget=1000, candidates=500)  # which ends first: the count is never reached
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
    for stage in ("finetune-wordnet-item", "search-evolution-1", "rank-wordnet-item", "select"):
        assert (mine[f"progress-{stage}"]["type"], mine[f"progress-{stage}"]["data"]) == ("progress", 100)
    assert "progress-finetune-wordnet-ntp" not in mine  # it was reused
    assert mine["progress-finetune-wordnet-item"]["description"] == "finetune@wordnet-item: 4 of 4 steps"
    assert (mine["results"]["type"], mine["report"]["type"]) == ("table", "markdown")
    assert {row["system"] for row in json.loads(mine["results"]["data"])} >= {"ntp", "item", "bm25", "random"}

    links = dict(re.findall(r"\| (\S+) \|.*\[MLflow\]\((\S+)\) \|", mine["report"]["data"]))
    assert links.keys() == set(STAGES) - {"track"}
    for stage, link in links.items():
        assert link.startswith(f"{mlflow}/#/experiments/")  # without the password
        run = requests.get(f"{mlflow}/api/2.0/mlflow/runs/get", params={"run_id": link.rpartition("/")[2]}).json()
        assert {tag["key"]: tag["value"] for tag in run["run"]["data"]["tags"]}["stage"] == stage
    assert "Open5esame" not in output + json.dumps(found) + "".join(str(run.data.tags) for run in runs)
