"""What the stage `track` leaves in a real MLflow store, of a small project that real DVC has run."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from mlflow import MlflowClient

from records import log, store
from records.states import stage_hash

PROJECT = Path(__file__).parents[2]
PARAMS = {
    "prepare": {"root": "animal.n.01", "sources": ["folder", "installed"]},
    "learn": {"steps": 2, "rate": {"start": 0.5}},
    "losses": {"ntp": {"rule": "ntp"}, "item": {"rule": "item", "alpha": 2.0}},
    "presets": {"tiny": {"learn": {"steps": 1}}},
}
DVC_YAML = """
stages:
  prepare:
    cmd: python make.py prepare
    params: [prepare]
    outs: [data/wordnet]
  learn:
    foreach: ${losses}
    do:
      cmd: python make.py learn ${key}
      deps: [data/wordnet]
      params: [learn, "losses.${key}"]
      outs: ["models/${key}"]
      plots:
      - results/wordnet/${key}.history.csv: {x: step, y: loss}
  evaluate:
    cmd: python make.py evaluate
    deps: [models]
    outs: [reports]
    metrics: [results/wordnet/metrics.json]
  track:
    cmd: python -m tasks track
    deps: [models, reports]
"""
MAKE = """
import json, sys
from pathlib import Path
import yaml
from arrange.errors import UserError
from tasks import stage

def write(path, text):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)

def prepare():
    write("data/wordnet/queries.txt", "dog\\n")
    write("data/wordnet/test/queries.txt", "cat\\n")
    stage.note("data_source", "WordNet 3.0 (installed)")

def learn(loss):
    rule = yaml.safe_load(Path("params.yaml").read_text())["losses"][loss]
    write(f"models/{loss}/config.json", json.dumps(rule))
    write(f"models/{loss}/weights", "0" * 5_000_001)
    write(f"results/wordnet/{loss}.history.csv", "step,loss,nDCG@10\\n1,3.5,\\n2,2.5,0.25\\n")
    if rule.get("alpha", 1) < 0:
        raise UserError("alpha is negative", "give another")

def evaluate():
    measure = {"measure": "nDCG@10", "mean": 0.5, "low": None, "interval": [0.4, 0.6], "queries": 7}
    without = measure | {"measure": "CVR", "mean": None, "queries": 0}
    write("results/wordnet/metrics.json", json.dumps({"item": {"nDCG@10": measure, "CVR": without}}))
    write("reports/report.md", "# The report")
    write("reports/pictures/a.svg", "<svg/>")

task = sys.argv.pop(1)
stage.run(globals()[task])
"""


def environment():
    dropped = {"MLFLOW_TRACKING_URI", "DVC_ROOT", "DVC_STAGE", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"}
    return {key: value for key, value in os.environ.items() if key not in dropped} | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(PROJECT),
        "DO_NOT_TRACK": "true",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "DVC_NO_ANALYTICS": "true",
    }


def command(path, *words):
    return subprocess.run(words, cwd=path, env=environment(), capture_output=True, text=True)


def python(path, *words):
    return command(path, sys.executable, *words)


def repro(path, *words):
    return python(path, "-m", "dvc", "repro", *words)


def change(path, **sections):
    (path / "params.yaml").write_text(yaml.safe_dump(PARAMS | sections, sort_keys=False))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A project whose stages but `track` have run, and an empty MLflow store in it (7 s to make)."""
    path = tmp_path_factory.mktemp("made") / "project"
    path.mkdir()
    change(path)
    (path / "dvc.yaml").write_text(DVC_YAML)
    (path / "make.py").write_text(MAKE)
    (path / ".gitignore").write_text("/state/\n/mlflow.db\n/mlartifacts/\n")
    steps = [
        ("git", "init", "--quiet"),
        (sys.executable, "-m", "dvc", "init", "--quiet"),
        ("git", "add", "-A"),
        ("git", "-c", "user.name=A", "-c", "user.email=a@example.com", "commit", "--quiet", "-m", "start"),
        (sys.executable, "-m", "dvc", "repro", "evaluate"),
    ]
    for words in steps:
        done = command(path, *words)
        assert done.returncode == 0, done.stdout + done.stderr
    MlflowClient(f"sqlite:///{path}/mlflow.db").search_experiments()
    return path


@pytest.fixture
def project(made, tmp_path, monkeypatch):
    """A copy of its own for one test, in a path that needs quoting; the test works there."""
    path = tmp_path / """it's a "project" 100%"""
    shutil.copytree(made, path, symlinks=True)
    for key in os.environ.keys() - environment().keys():
        monkeypatch.delenv(key)
    for key, value in environment().items():
        monkeypatch.setenv(key, value)
    monkeypatch.chdir(path)
    return path


@pytest.fixture
def client(project):
    return MlflowClient(store.tracking_uri())


def logged(client):
    """The pipeline runs, oldest first, each with its stages' runs by name."""
    experiment = client.get_experiment_by_name("arrange")
    found = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"])
    parents = [run for run in found if run.info.run_name.startswith("pipeline ")]
    parents.sort(key=lambda run: (run.info.start_time, run.info.end_time))
    children = {
        run.info.run_id: {
            child.info.run_name: child
            for child in found
            if child.data.tags.get("mlflow.parentRunId") == run.info.run_id
        }
        for run in parents
    }
    assert len(found) == len(parents) + sum(map(len, children.values()))
    return [(parent, children[parent.info.run_id]) for parent in parents]


def artifacts(client, run, path=None):
    for entry in client.list_artifacts(run.info.run_id, path):
        if entry.is_dir:
            yield from artifacts(client, run, entry.path)
        else:
            yield entry.path


def points(client, run, name):
    return [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, name)]


def test_a_pipeline_run_is_a_parent_and_a_child_for_every_stage(project, client):
    log.log("FINISHED")
    [(parent, children)] = logged(client)
    assert set(children) == {"prepare", "learn@ntp", "learn@item", "evaluate"}
    assert {run.info.status for run in [parent, *children.values()]} == {"FINISHED"}

    assert parent.data.params == {
        "prepare.root": "animal.n.01",
        "prepare.sources": "['folder', 'installed']",
        "learn.steps": "2",
        "learn.rate.start": "0.5",
        "losses.ntp.rule": "ntp",
        "losses.item.rule": "item",
        "losses.item.alpha": "2.0",
    }
    assert parent.data.metrics == {"wordnet.item.nDCG_10": 0.5}
    assert set(artifacts(client, parent)) == {"reports/report.md", "reports/pictures/a.svg"}
    tags = parent.data.tags
    assert tags["git_commit"] == command(project, "git", "rev-parse", "HEAD").stdout.strip()
    assert tags["git_dirty"] == "true"  # dvc.lock is new
    assert tags["workspace"] == f"{socket.gethostname()}:{project}"
    assert tags["started_by"] == "dvc repro"
    assert tags["mlflow.note.content"] == "# The report"

    prepare, item, evaluate = (children[name] for name in ("prepare", "learn@item", "evaluate"))
    assert prepare.data.params == {"prepare.root": "animal.n.01", "prepare.sources": "['folder', 'installed']"}
    assert prepare.data.tags["data_source"] == "WordNet 3.0 (installed)"
    assert set(artifacts(client, prepare)) == {"wordnet/queries.txt", "wordnet/test/queries.txt"}
    assert item.data.params == {
        "learn.steps": "2",
        "learn.rate.start": "0.5",
        "losses.item.rule": "item",
        "losses.item.alpha": "2.0",
    }
    assert points(client, item, "loss") == [(1, 3.5), (2, 2.5)]
    assert points(client, item, "nDCG_10") == [(2, 0.25)]
    # the weights are above 5 MB, DVC has them
    assert set(artifacts(client, item)) == {"item/config.json", "item.history.csv"}
    recorded = json.loads(Path("state/learn@item/record.json").read_text())
    assert points(client, item, "seconds") == [(0, recorded["seconds"])]
    assert points(client, item, "cpu_seconds") == [(0, recorded["cpu_seconds"])]
    assert item.info.start_time == int(recorded["started"] * 1000)
    assert item.info.end_time == item.info.start_time + int(recorded["seconds"] * 1000)
    assert evaluate.data.metrics.keys() == {
        "item.nDCG_10.mean",
        "item.nDCG_10.queries",
        "item.CVR.queries",
        "seconds",
        "cpu_seconds",
    }
    assert set(artifacts(client, evaluate)) == {"metrics.json", "reports/report.md", "reports/pictures/a.svg"}


def test_artifacts_of_a_local_store_lie_in_the_checkout(project, client):
    log.log("FINISHED")
    [(parent, _)] = logged(client)
    path = project / "mlartifacts" / parent.info.run_id / "artifacts" / "reports" / "report.md"
    assert path.read_text() == "# The report"


def test_a_run_in_which_nothing_is_new_leaves_no_trace(client):
    log.log("FINISHED")
    before = logged(client)
    log.log("FINISHED")
    log.log("FAILED")
    assert [(parent.info, set(children)) for parent, children in logged(client)] == [
        (parent.info, set(children)) for parent, children in before
    ]


def test_only_what_has_changed_is_logged_and_the_rest_is_linked(project, client):
    log.log("FINISHED")
    [(_, first)] = logged(client)
    change(project, losses={"ntp": {"rule": "ntp"}, "item": {"rule": "item", "alpha": 3.0}})
    assert repro(project, "evaluate").returncode == 0
    log.log("FINISHED")
    [_, (parent, second)] = logged(client)
    assert set(second) == {"learn@item", "evaluate"}
    assert second["learn@item"].data.params["losses.item.alpha"] == "3.0"
    reused = {key: value for key, value in parent.data.tags.items() if key.startswith("reused.")}
    assert reused == {f"reused.{name}": first[name].info.run_id for name in ("prepare", "learn@ntp")}
    for run in reused.values():
        assert f"/runs/{run})" in parent.data.tags["mlflow.note.content"]

    # back again: DVC restores the old results, MLflow has them, nothing is new
    change(project)
    assert repro(project, "evaluate").returncode == 0
    log.log("FINISHED")
    assert len(logged(client)) == 2


def test_what_an_interrupted_recording_left_is_killed_and_never_linked(project, client):
    experiment = store.experiment_id(client)
    lock = yaml.safe_load(Path("dvc.lock").read_text())["stages"]
    key = stage_hash(lock["prepare"])
    here = {"workspace": f"{socket.gethostname()}:{project}", "stage_hash": key}
    mine = client.create_run(experiment, tags=here, run_name="prepare").info.run_id
    others = client.create_run(experiment, tags={"workspace": f"elsewhere:{project}"}, run_name="prepare").info.run_id
    log.log("FINISHED")
    assert client.get_run(mine).info.status == "KILLED"
    assert client.get_run(others).info.status == "RUNNING"
    client.delete_run(mine)
    client.delete_run(others)
    [(parent, children)] = logged(client)
    assert "prepare" in children
    assert not any(tag.startswith("reused.") for tag in parent.data.tags)


def test_after_a_failure_the_other_stages_are_logged_below_a_failed_run(project, client):
    change(project, losses={"ntp": {"rule": "ntp"}, "item": {"rule": "item", "alpha": -1}})
    failed = repro(project, "learn@item")
    assert failed.returncode != 0
    assert "alpha is negative\ngive another" in failed.stderr
    log.log("FAILED")
    [(parent, children)] = logged(client)
    assert parent.info.status == "FAILED"
    # what learn@item left is not what dvc.lock tells, and evaluate's outputs are of what it left before
    assert set(children) == {"prepare", "learn@ntp"}
    assert parent.data.metrics == {}
    assert {run.info.status for run in children.values()} == {"FINISHED"}
    # params.yaml is another one than that of these stages' last run: how long they took isn't told
    assert "seconds" not in children["prepare"].data.metrics


def test_after_a_change_only_what_it_leaves_alone_is_recorded(project, client):
    change(project, learn={"steps": 3, "rate": {"start": 0.5}})
    log.log("FINISHED")
    [(parent, children)] = logged(client)
    assert set(children) == {"prepare"}
    assert parent.data.params["learn.steps"] == "3"
    assert (parent.data.metrics, list(artifacts(client, parent))) == ({}, [])
    assert "The report" not in parent.data.tags["mlflow.note.content"]


def test_a_run_of_some_stages_links_no_other_that_its_change_has_made_stale(project, client):
    log.log("FINISHED")
    change(project, losses={"ntp": {"rule": "ntp"}, "item": {"rule": "item", "alpha": 3.0}})
    assert repro(project, "--single-item", "learn@item").returncode == 0
    log.log("FINISHED")
    [_, (parent, children)] = logged(client)
    assert set(children) == {"learn@item"}
    assert {tag for tag in parent.data.tags if tag.startswith("reused.")} == {"reused.prepare", "reused.learn@ntp"}
    assert (parent.data.metrics, list(artifacts(client, parent))) == ({}, [])


def test_what_no_stage_makes_any_more_is_not_recorded(project, client):
    Path("results/dropped").mkdir()
    shutil.copy("results/wordnet/metrics.json", "results/dropped")
    log.log("FINISHED")
    [(parent, _)] = logged(client)
    assert set(parent.data.metrics) == {"wordnet.item.nDCG_10"}


@pytest.mark.slow
def test_as_a_stage_of_dvc_repro(project, client):
    done = repro(project)
    assert done.returncode == 0, done.stderr
    [(parent, children)] = logged(client)
    assert parent.info.status == "FINISHED"
    assert set(children) == {"prepare", "learn@ntp", "learn@item", "evaluate"}
    assert "up to date" in repro(project).stdout
    assert json.loads(Path("state/track/record.json").read_text())["notes"] == {}


def test_data_that_dvc_add_has_put_beside_the_stages_is_no_stage(project, client):
    Path("mine.txt").write_text("a query")
    assert python(project, "-m", "dvc", "add", "mine.txt").returncode == 0
    log.log("FINISHED")
    [(_, children)] = logged(client)
    assert set(children) == {"prepare", "learn@ntp", "learn@item", "evaluate"}


def test_a_server_that_is_down_is_two_lines(project):
    with socket.socket() as held:  # bound, not listening
        held.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{held.getsockname()[1]}"
        env = environment() | {"MLFLOW_TRACKING_URI": address}
        words = [sys.executable, "-m", "tasks", "track"]
        done = subprocess.run(words, cwd=project, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (
        1,
        f"MLFLOW_TRACKING_URI is {address}, and no MLflow server answers there\n"
        "start it, or unset MLFLOW_TRACKING_URI to log to mlflow.db in this checkout\n",
    )


@pytest.fixture
def run(client):
    return client.create_run(store.experiment_id(client)).info.run_id


def test_more_than_mlflow_takes_at_once_is_logged_whole(client, run, tmp_path):
    log.log_params(client, run, {"section": {f"key{n}": n for n in range(250)}})
    log.log_metrics(client, run, {"system": {f"measure{n}": n for n in range(2500)}})
    history = tmp_path / "history.csv"
    history.write_text("step,loss\n" + "".join(f"{n},{n / 4}\n" for n in range(1, 2502)))
    log.log_history(client, run, history)
    found = client.get_run(run).data
    assert found.params == {f"section.key{n}": str(n) for n in range(250)}
    assert found.metrics == {f"system.measure{n}": n for n in range(2500)} | {"loss": 2501 / 4}
    assert [point.value for point in client.get_metric_history(run, "loss")] == [n / 4 for n in range(1, 2502)]


def test_a_password_in_a_parameter_is_not_recorded(client, run):
    log.log_params(client, run, {"llm": {"url": "https://me:secret@host/v1"}})
    assert client.get_run(run).data.params == {"llm.url": "https://me:***@host/v1"}


def test_of_metrics_only_numbers_are_logged(client, run):
    log.log_metrics(client, run, {"a@1": 1, "b": {"c": 0.5, "list": [1, 2], "word": "x", "none": None, "yes": True}})
    assert client.get_run(run).data.metrics == {"a_1": 1, "b.c": 0.5, "b.yes": 1}
    log.log_metrics(client, run, {})


def test_clean_gives_names_that_mlflow_takes(client, run):
    names = ["nDCG@10", "overlap@1", "losses.item.alpha", "a b-c/d_e", "R(rel=2)@5", "Größe:m"]
    assert [store.clean(name) for name in names] == [
        "nDCG_10",
        "overlap_1",
        "losses.item.alpha",
        "a b-c/d_e",
        "R_rel_2__5",
        "Größe_m",
    ]
    log.log_metrics(client, run, dict.fromkeys(names, 1.0))
    assert len(client.get_run(run).data.metrics) == len(names)


def test_stage_hash_depends_on_content_and_not_on_order():
    entry = {"cmd": "a", "deps": [{"path": "x", "md5": "1"}]}
    assert stage_hash(entry) == stage_hash(dict(reversed(entry.items())))
    assert stage_hash(entry) != stage_hash(entry | {"deps": [{"path": "x", "md5": "2"}]})
