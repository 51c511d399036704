"""The invariants of the pipeline, with the real DVC, Prefect and MLflow."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from checkout import STAGES, Checkout, children, clone, outcomes, parents, runs_in
from mlflow import MlflowClient

pytestmark = pytest.mark.slow

AFTER_ALPHA = {"finetune@wordnet-item", "rank@wordnet-item", "evaluate@wordnet", "report", "track"}
AFTER_RESAMPLES = {"evaluate@wordnet", "report", "track"}


def test_a_fresh_clone_runs_to_the_end(first_run):
    checkout, output = first_run
    assert outcomes(output) == dict.fromkeys(STAGES, "ran")
    assert "Stages: 11 ran." in output
    assert "Report: reports/report.md" in output
    assert (checkout.path / "reports/report.md").exists()
    assert checkout.git("status", "--porcelain").split() == ["??", "dvc.lock"]


def test_after_the_flow_dvc_has_nothing_to_do(finished):
    assert "up to date" in finished.dvc("status")
    assert "Running stage" not in finished.dvc("repro")


def test_a_second_flow_reuses_everything_and_records_nothing(finished):
    before = runs_in(finished)
    assert outcomes(finished.flow()) == dict.fromkeys(STAGES, "reused")
    assert len(runs_in(finished)) == len(before) == 1 + len(STAGES) - 1


def test_a_second_clone_elsewhere_gives_the_same_bytes(first_run, env, server, tmp_path):
    """dvc.lock holds the hash of every output: weights, runs, metrics, pictures."""
    other = clone(tmp_path / "elsewhere", env | {"PREFECT_API_URL": server})
    other.flow("--parallel", "1")
    assert other.lock() == first_run[0].lock()


def test_what_mlflow_holds_after_the_first_run(first_run):
    runs = runs_in(first_run[0])
    (parent,) = parents(runs)
    assert parent.info.status == "FINISHED"
    assert parent.data.params["finetune.steps"] == "3"
    assert 0 <= parent.data.metrics["wordnet.item.nDCG_10"] <= 1
    found = children(runs, parent.info.run_id)
    assert set(found) == set(STAGES) - {"track"}
    assert (
        parent.data.tags["data_source"] == found["download_wordnet"].data.tags["data_source"] == "WordNet 3.0 (folder)"
    )
    assert parent.data.tags["git_commit"] == first_run[0].git("rev-parse", "HEAD").strip()
    training = found["finetune@wordnet-item"]
    assert training.data.params["losses.item.alpha"] == "1.0"
    assert training.data.tags["stage_hash"]
    client = MlflowClient(tracking_uri=f"sqlite:///{first_run[0].path / 'mlflow.db'}")
    steps = [point.step for point in client.get_metric_history(training.info.run_id, "validation_loss")]
    assert steps == [1, 2, 3]
    assert [f.path for f in client.list_artifacts(found["rank@wordnet-item"].info.run_id, "item")] == [
        "item/run.parquet",
        "item/run.trec",
    ]
    assert found["docids@wordnet"].data.metrics["documents"] == 72


@pytest.mark.parametrize("by", ["dvc", "flow"])
def test_one_parameter_reruns_what_depends_on_it_and_no_more(finished, by):
    finished.change("losses", item={"rule": "item", "alpha": 2.0})
    if by == "dvc":
        output = finished.dvc("repro")
        assert {stage for stage in STAGES if f"Running stage '{stage}'" in output} == AFTER_ALPHA
        assert outcomes(finished.flow()) == dict.fromkeys(STAGES, "reused")
    else:
        found = outcomes(finished.flow())
        assert {stage for stage, what in found.items() if what == "ran"} == AFTER_ALPHA
        assert "up to date" in finished.dvc("status")
    first, second = parents(runs_in(finished))
    runs = runs_in(finished)
    assert set(children(runs, second.info.run_id)) == AFTER_ALPHA - {"track"}
    earlier = children(runs, first.info.run_id)
    for stage in set(STAGES) - AFTER_ALPHA:
        assert second.data.tags[f"reused.{stage}"] == earlier[stage].info.run_id


def test_a_stage_that_ran_is_recorded_though_its_outputs_are_the_same(finished):
    task = finished.path / "tasks" / "rank.py"
    task.write_text(task.read_text() + "# a remark\n")
    found = outcomes(finished.flow())
    ranks = {"rank@wordnet-ntp", "rank@wordnet-item"}
    assert {stage for stage, what in found.items() if what != "reused"} == ranks
    second = parents(runs_in(finished))[-1]
    assert set(children(runs_in(finished), second.info.run_id)) == ranks


def test_another_store_gets_everything(finished, tmp_path):
    """DVC has nothing to do, but this MLflow has seen nothing yet."""
    finished.env["MLFLOW_TRACKING_URI"] = f"sqlite:///{tmp_path / 'other.db'}"
    assert outcomes(finished.flow()) == dict.fromkeys(STAGES, "reused")
    (tmp_path / "other.db").rename(finished.path / "mlflow.db")
    assert set(children(runs_in(finished), parents(runs_in(finished))[0].info.run_id)) == set(STAGES) - {"track"}


def test_overrides_leave_the_checkout_alone_and_share_finished_stages(finished):
    before = finished.bytes_of("params.yaml", "dvc.lock")
    words = ("--set", "evaluate.resamples=30")
    output = finished.flow(*words)
    assert outcomes(output) == {stage: "ran" if stage in AFTER_RESAMPLES else "restored" for stage in STAGES}
    assert "make run SET=evaluate.resamples=30 " in output
    assert finished.bytes_of("params.yaml", "dvc.lock") == before
    assert finished.git("status", "--porcelain").split() == ["??", "dvc.lock"]
    assert "up to date" in finished.dvc("status")
    assert outcomes(finished.flow(*words)) == dict.fromkeys(STAGES, "reused")
    assert len(list((finished.path / ".workspaces").iterdir())) == 1
    tags = parents(runs_in(finished))[-1].data.tags
    assert (tags["overrides"], tags["data_source"]) == ("evaluate.resamples=30", "WordNet 3.0 (folder)")


def test_a_workspace_follows_the_code_of_the_checkout(finished):
    words = ("--set", "evaluate.resamples=30")
    finished.flow(*words)
    task = finished.path / "tasks" / "report.py"
    task.write_text(task.read_text().replace("# Autoregressive ranking", "# Another title"))
    found = outcomes(finished.flow(*words))
    assert {stage for stage, what in found.items() if what == "ran"} == {"report", "track"}
    (report,) = finished.path.glob(".workspaces/*/reports/report.md")
    assert report.read_text().startswith("# Another title")


def test_a_failing_stage_says_so_in_two_lines_and_leaves_nothing_half_written(finished):
    finished.change("prepare_wordnet", root="anmal.n.01")
    output = finished.flow(code=1)
    assert output.splitlines()[-2:] == [
        "prepare_wordnet: 'anmal.n.01' is not a noun synset",
        "perhaps animal.n.01 or mammal.n.01 or placental.n.01?",
    ]
    assert "Traceback" not in output
    assert outcomes(output) == {"download_wordnet": "reused", "prepare_wordnet": "failed"}
    assert [path.name for path in (finished.path / "data").rglob("*")] == ["raw", "wordnet.parquet"]
    finished.change("prepare_wordnet", root="animal.n.01")
    found = outcomes(finished.flow())
    assert found["prepare_wordnet"] == "restored"
    assert not {"ran", "failed"} & set(found.values())


def test_a_bug_is_named_with_the_place_of_its_log(finished):
    task = finished.path / "tasks" / "controls.py"
    task.write_text(task.read_text().replace("settings = params", "1 / 0\n    settings = params"))
    output = finished.flow(code=1)
    what, where = output.splitlines()[-2:]
    assert what == "controls@wordnet: ZeroDivisionError: division by zero"
    assert "ZeroDivisionError" in Path(where.split(" in ")[-1]).read_text()
    failed = parents(runs_in(finished))
    assert len(failed) == 1  # nothing new was made, so nothing is recorded


def test_two_runs_at_once_in_one_checkout_are_refused(finished):
    finished.change("finetune", steps=200)
    first = finished.start(sys.executable, "-m", "flows.pipeline")
    for line in first.stdout:
        if "works in" in line:
            break
    output = finished.flow(code=1)
    assert output.splitlines()[-2].startswith("another run is at work here")
    rest, _ = first.communicate()
    assert first.returncode == 0, rest
    assert "up to date" in finished.dvc("status")


def test_a_killed_flow_is_taken_up_again(first_run, env, server, tmp_path):
    """kill -9 at the training: its stages die with it, and the next run ends as if nothing had been."""
    checkout = clone(tmp_path / "killed", env | {"PREFECT_API_URL": server})
    first = checkout.start(sys.executable, "-m", "flows.pipeline")
    for line in first.stdout:
        if "finetune@wordnet-item: starts" in line:
            break
    first.send_signal(signal.SIGKILL)
    first.communicate()  # returns when no process holds the pipe any more
    found = outcomes(checkout.flow())
    assert (found["prepare_wordnet"], found["finetune@wordnet-item"]) == ("reused", "ran")
    assert checkout.lock() == first_run[0].lock()
    assert "up to date" in checkout.dvc("status")
    assert not [path for path in checkout.path.rglob("*.part") if ".dvc" not in path.parts]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_flow_that_is_stopped_takes_its_processes_with_it(finished, number):
    """Prefect's own server among them: this flow starts one. The next run goes on."""
    del finished.env["PREFECT_API_URL"]
    finished.change("finetune", steps=100_000)
    flow = finished.start(sys.executable, "-m", "flows.pipeline")
    for line in flow.stdout:
        if "finetune@wordnet-item: starts" in line:
            break
    processes = psutil.Process(flow.pid).children(recursive=True)
    flow.send_signal(number)
    output, _ = flow.communicate()
    assert (flow.returncode, output.splitlines()[-2:]) == (
        128 + number,
        ["stopped", "the same command goes on from here"],
    )
    assert processes
    assert not psutil.wait_procs(processes, timeout=60)[1]
    finished.change("finetune", steps=3)
    assert set(outcomes(finished.flow()).values()) <= {"reused", "restored"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--set", "finetune.setps=3"), "the overrides: finetune.setps is not a setting\ndid you mean steps?"),
        (("--preset", "tinny"), "there is no preset 'tinny' in params.yaml\ndid you mean tiny?"),
    ],
)
def test_a_wrong_word_is_refused_before_anything_starts(finished, words, message):
    assert finished.flow(*words, code=1).startswith(message)


@pytest.fixture
def disk(tmp_path):
    """A small disk of its own."""
    path = tmp_path / "small disk"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=60m", "tmpfs", str(path)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a disk takes root")
    yield path
    subprocess.run(["umount", str(path)], check=True)


def test_a_full_disk_is_refused_before_the_work(finished, disk):
    finished.git("clone", "--quiet", str(finished.path), str(disk / "clone"))
    what, remedy = Checkout(disk / "clone", finished.env).flow(code=1).splitlines()[-2:]
    assert re.fullmatch(r"[56]\d MB are free in .*/clone; a run needs 1,000", what)
    assert remedy == "make room: make clean, say"


def test_a_read_only_folder_is_refused_before_the_work(finished, disk):
    finished.git("clone", "--quiet", str(finished.path), str(disk / "clone"))
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    what, remedy = Checkout(disk / "clone", finished.env).flow(code=1).splitlines()[-2:]
    assert what.endswith("/clone can't be written to")
    assert remedy == "clone into a folder of your own, or mend its permissions"


def test_a_checkout_without_git_is_refused(finished):
    (finished.path / ".git").rename(finished.path / "elsewhere")
    what, remedy = finished.flow(code=1).splitlines()[-2:]
    assert what.endswith("is no git checkout (.git is missing), and DVC needs one")
    assert remedy.startswith("clone the project, or: git init")


def test_an_mlflow_server_that_is_down_is_told_before_the_work(finished):
    finished.env["MLFLOW_TRACKING_URI"] = "http://127.0.0.1:9"
    finished.change("finetune", steps=4)
    output = finished.flow(code=1)
    assert "no MLflow server answers there" in output.splitlines()[-2]
    assert outcomes(output) == {}
