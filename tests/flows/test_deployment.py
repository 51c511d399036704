"""The deployments of prefect.yaml on a process work pool, with a real server and a real worker."""

import json
import sys

import pytest
import requests

pytestmark = pytest.mark.slow


def test_a_deployment_runs_with_overrides(finished, server):
    def prefect(*words: str) -> str:
        return finished.run(sys.executable, "-m", "prefect", "--no-prompt", *words)

    before = finished.bytes_of("params.yaml", "dvc.lock")
    prefect("work-pool", "create", "local", "--type", "process", "--overwrite")
    prefect("deploy", "--all")
    overrides = json.dumps({"evaluate": {"resamples": 25}})
    prefect("deployment", "run", "pipeline/wordnet", "--param", f"overrides={overrides}", "--param", "parallel=1")
    prefect("worker", "start", "--pool", "local", "--run-once")
    (run,) = requests.post(
        f"{server}/flow_runs/filter", json={"flow_runs": {"deployment_id": {"is_null_": False}}}
    ).json()
    assert (run["state"]["type"], run["state"]["message"].splitlines()[0]) == (
        "COMPLETED",
        "Stages: 3 ran, 9 restored.",
    )
    artifacts = requests.post(f"{server}/artifacts/filter", json={}).json()
    mine = {artifact["key"]: artifact for artifact in artifacts if artifact["flow_run_id"] == run["id"]}
    assert mine["report"]["data"].startswith("# Autoregressive ranking")
    systems = [row["system"] for row in json.loads(mine["results"]["data"])]
    assert systems == ["ntp", "item", "bm25", "random", "root_first", "copy", "neighbours", "popularity"]
    assert finished.bytes_of("params.yaml", "dvc.lock") == before
