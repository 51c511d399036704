"""The invariants of the pipeline, with the real DVC, Prefect and MLflow."""

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from checkout import STAGES, Checkout, children, clone, outcomes, parents, runs_in
from mlflow import MlflowClient

pytestmark = pytest.mark.slow

AFTER_ALPHA = {
    *("finetune@wordnet-item", "rank@wordnet-item", "evaluate@wordnet", "export@wordnet"),
    *("swap", "ranking_report", "report", "track"),  # two steps with another alpha rank alike: its report stays
}
TRAINING = "finetune@wordnet-item"
AFTER_RESAMPLES = {"evaluate@wordnet", "export@wordnet", "activations_report", "ranking_report", "report", "track"}
MINED = {"search@evolution-1", "select", "transfer"}  # they know nothing of rankers
BASE = "prepare_model@scratch"  # nor does a base model know of data


def test_a_fresh_clone_runs_to_the_end(first_run):
    checkout, output = first_run
    assert outcomes(output) == dict.fromkeys(STAGES, "ran")
    assert f"Stages: {len(STAGES)} ran." in output
    assert "Report: reports/report.html" in output
    assert (checkout.path / "reports/report.html").exists()
    assert checkout.git("status", "--porcelain").split() == ["??", "dvc.lock"]


def test_an_option_that_its_class_does_not_take_is_told_before_any_stage(env, server, tmp_path):
    checkout = clone(tmp_path / "new", env | {"PREFECT_API_URL": server})
    output = checkout.flow("--set", "finetune.lora.rr=4", code=1)
    assert output.splitlines()[-2:] == ["finetune.lora.rr: peft.LoraConfig has no 'rr'", "perhaps 'r'"]
    assert outcomes(output) == {}


def test_after_the_flow_dvc_has_nothing_to_do(finished):
    assert finished.is_up_to_date()
    assert "Running stage" not in finished.dvc("repro", "track")


def test_a_second_flow_reuses_everything_and_records_nothing(finished):
    before = runs_in(finished)
    assert outcomes(finished.flow()) == dict.fromkeys(STAGES, "reused")
    assert len(runs_in(finished)) == len(before) == 1 + len(STAGES) - 1


@pytest.mark.soak
def test_a_second_clone_elsewhere_gives_the_same_bytes(first_run, env, server, tmp_path):
    """dvc.lock holds the hash of every output: weights, runs, metrics, pictures."""
    other = clone(tmp_path / "elsewhere", env | {"PREFECT_API_URL": server})
    other.flow("--parallel", "1")
    assert other.lock() == first_run[0].lock()


def test_what_mlflow_holds_after_the_first_run(first_run):
    runs = runs_in(first_run[0])
    (parent,) = parents(runs)
    assert parent.info.status == "FINISHED"
    assert parent.data.params["finetune.arguments.max_steps"] == "4"
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
    assert steps == [2, 4]
    assert [f.path for f in client.list_artifacts(found["rank@wordnet-item"].info.run_id, "wordnet-item")] == [
        "wordnet-item/judged.parquet",
        "wordnet-item/judged.trec",
        "wordnet-item/run.parquet",
        "wordnet-item/run.trec",
        "wordnet-item/validation.parquet",
    ]
    assert found["docids@wordnet-text"].data.metrics["documents"] == 72
    search = found["search@evolution-1"].info.run_id
    assert [point.step for point in client.get_metric_history(search, "best")] == [*range(6)]  # the generations
    page = Path(client.download_artifacts(parent.info.run_id, "reports/report.html")).read_text()
    assert "<h1>Autoregressive ranking</h1>" in page
    assert client.get_model_version_by_alias("arrange-wordnet", "champion").version in (1, "1")


@pytest.mark.parametrize("by", [pytest.param("dvc", marks=pytest.mark.soak), "flow"])
def test_one_parameter_reruns_what_depends_on_it_and_no_more(finished, by):
    finished.change("losses", item={"rule": "item", "alpha": 2.0})
    if by == "dvc":
        output = finished.dvc("repro", "track")
        assert {stage for stage in STAGES if f"Running stage '{stage}'" in output} == AFTER_ALPHA
        assert outcomes(finished.flow()) == dict.fromkeys(STAGES, "reused")
    else:
        found = outcomes(finished.flow())
        assert {stage for stage, what in found.items() if what == "ran"} == AFTER_ALPHA
        assert finished.is_up_to_date()
    first, second = parents(runs_in(finished))
    runs = runs_in(finished)
    assert set(children(runs, second.info.run_id)) == AFTER_ALPHA - {"track"}
    earlier = children(runs, first.info.run_id)
    for stage in set(STAGES) - AFTER_ALPHA:
        assert second.data.tags[f"reused.{stage}"] == earlier[stage].info.run_id


@pytest.mark.soak
def test_a_stage_that_ran_is_recorded_though_its_outputs_are_the_same(finished):
    task = finished.path / "tasks" / "rank.py"
    task.write_text(task.read_text() + "# a remark\n")
    found = outcomes(finished.flow())
    ranks = {"rank@wordnet-ntp", "rank@wordnet-item"}
    assert {stage for stage, what in found.items() if what != "reused"} == ranks
    second = parents(runs_in(finished))[-1]
    assert set(children(runs_in(finished), second.info.run_id)) == ranks


@pytest.mark.soak
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
    assert "-m flows pipeline --set evaluate.resamples=30" in output
    assert finished.bytes_of("params.yaml", "dvc.lock") == before
    assert finished.git("status", "--porcelain").split() == ["??", "dvc.lock"]
    assert finished.is_up_to_date()
    assert outcomes(finished.flow(*words)) == dict.fromkeys(STAGES, "reused")
    assert len(list((finished.path / ".workspaces").iterdir())) == 1
    tags = parents(runs_in(finished))[-1].data.tags
    assert (tags["overrides"], tags["data_source"]) == ("evaluate.resamples=30", "WordNet 3.0 (folder)")


@pytest.mark.soak
def test_a_workspace_follows_the_code_of_the_checkout(finished):
    words = ("--set", "evaluate.resamples=30")
    finished.flow(*words)
    task = finished.path / "tasks" / "report.py"
    task.write_text(task.read_text().replace("Autoregressive ranking", "Another title"))
    found = outcomes(finished.flow(*words))
    assert {stage for stage, what in found.items() if what == "ran"} == {"report", "track"}
    (report,) = finished.path.glob(".workspaces/*/reports/report.md")
    assert report.read_text().startswith("# Another title")


def test_a_failing_stage_says_so_in_two_lines_and_leaves_nothing_half_written(finished):
    finished.change("datasets", wordnet={"root": "anmal.n.01"})
    output = finished.flow(code=1)
    assert output.splitlines()[-2:] == [
        "prepare@wordnet: 'anmal.n.01' is not a noun synset",
        "perhaps animal.n.01 or mammal.n.01 or placental.n.01?",
    ]
    assert "Traceback" not in output
    independent = dict.fromkeys([*MINED, BASE], "reused")
    assert outcomes(output) == {"download_wordnet": "reused", "prepare@wordnet": "failed"} | independent
    assert [path.name for path in (finished.path / "data").rglob("*")] == ["raw", "wordnet.parquet"]
    finished.change("datasets", wordnet={"root": "animal.n.01"})
    found = outcomes(finished.flow())
    assert found["prepare@wordnet"] == "restored"
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
    finished.change("finetune", arguments={"max_steps": 200})
    first = finished.start(sys.executable, "-m", "flows", "pipeline")
    for line in first.stdout:
        if "works in" in line:
            break
    output = finished.flow(code=1)
    assert output.splitlines()[-2].startswith("another run is at work here")
    rest, _ = first.communicate()
    assert first.returncode == 0, rest
    assert finished.is_up_to_date()


@pytest.mark.soak
def test_a_killed_flow_is_taken_up_again(first_run, env, server, tmp_path):
    """kill -9 at the training: its stages die with it, and the next run ends as if nothing had been."""
    checkout = clone(tmp_path / "killed", env | {"PREFECT_API_URL": server})
    first = checkout.start(sys.executable, "-m", "flows", "pipeline")
    for line in first.stdout:
        if "finetune@wordnet-item: starts" in line:
            break
    first.send_signal(signal.SIGKILL)
    first.communicate()  # returns when no process holds the pipe any more
    found = outcomes(checkout.flow())
    assert (found["prepare@wordnet"], found["finetune@wordnet-item"]) == ("reused", "ran")
    assert checkout.lock() == first_run[0].lock()
    assert checkout.is_up_to_date()
    assert not [path for path in checkout.path.rglob("*.part") if ".dvc" not in path.parts]


@pytest.mark.soak
def test_a_killed_training_goes_on_from_its_last_checkpoint(finished, tmp_path):
    """kill -9 at the stage itself: the next run continues, and ends with the bytes of one that was never stopped."""
    arguments = {"max_steps": 400, "eval_steps": 50, "save_steps": 50}
    finished.change("finetune", arguments=arguments)
    unbroken = Checkout(tmp_path / "unbroken", finished.env)
    shutil.copytree(finished.path, unbroken.path, symlinks=True)
    unbroken.dvc("repro", TRAINING)

    killed = finished.start(sys.executable, "-m", "dvc", "repro", TRAINING)
    unfinished = finished.path / "state" / TRAINING / "unfinished"
    while not list(unfinished.glob("*/checkpoint-*/whole")):
        with pytest.raises(subprocess.TimeoutExpired):  # it works as long as it isn't killed
            killed.wait(timeout=0.1)
    (training,) = (
        process
        for process in psutil.Process(killed.pid).children(recursive=True)
        if process.cmdline()[1:4] == ["-m", "tasks", "finetune"]
    )
    training.kill()
    output, _ = killed.communicate()
    assert killed.returncode != 0, output
    assert not (finished.path / "models/wordnet-item").exists()

    finished.dvc("repro", TRAINING)
    steps = [json.loads(line)["done"] for line in (unfinished.parent / "progress.jsonl").read_text().splitlines()]
    assert (steps[0] > 50, steps[-1]) == (True, 400)
    assert not unfinished.exists()
    outputs = sorted(path for path in (unbroken.path / "models/wordnet-item").iterdir())
    names = [*(str(path.relative_to(unbroken.path)) for path in outputs), "results/wordnet/wordnet-item.history.csv"]
    assert "models/wordnet-item/model.safetensors" in names
    assert finished.bytes_of(*names) == unbroken.bytes_of(*names)


@pytest.mark.soak
def test_data_of_ones_own_in_the_checkout_is_ranked_there_and_wordnet_left_alone(finished):
    folder = finished.path / "my zoo"
    folder.mkdir()
    kinds = ["cat", "dog", "fox", "owl"]
    documents = [f"{kind}-{number}" for kind in kinds for number in range(3)]
    queries = [f"{kind}{number}" for kind in kinds for number in range(10)]
    splits = ["train"] * 6 + ["validation"] * 2 + ["test"] * 2
    rows = {
        "documents.csv": ["doc_id,text", *(f"{name},the {name.replace('-', ' no ')}" for name in documents)],
        "queries.csv": [
            "query_id,text,split",
            *(f"{query},a {query[:3]} of {query},{split}" for query, split in zip(queries, splits * 4, strict=True)),
        ],
        "qrels.trec": [f"{query} 0 {query[:3]}-{number} {3 - number}" for query in queries for number in range(3)],
    }
    for name, lines in rows.items():
        (folder / name).write_text("\n".join(lines) + "\n")
    found = outcomes(finished.flow("--data", "my zoo"))
    names = [stage.replace("wordnet", "my_zoo") for stage in STAGES if stage != "download_wordnet"]
    systems = [stage.partition("@wordnet-")[2] for stage in STAGES if stage.startswith("finetune@")]
    names += [f"fuse@my_zoo-bm25_{system}" for system in systems]
    names += [f"rerank@my_zoo-{system}_reranks_bm25" for system in systems]
    assert found == dict.fromkeys(names, "ran") | dict.fromkeys([*MINED, BASE], "restored")
    (report,) = finished.path.glob(".workspaces/*/reports/report.md")
    assert "## my_zoo\n" in report.read_text()
    assert "WordNet" not in report.read_text()
    assert not (report.parents[1] / "my zoo").exists()
    assert parents(runs_in(finished))[-1].data.tags["data_source"] == "own data (my zoo)"


@pytest.mark.soak
def test_in_context_the_judged_documents_are_ranked(finished):
    words = ("prompt.regime=in_context", "datasets.wordnet.negatives=1")
    found = outcomes(finished.flow("--set", *words))
    assert {stage for stage, what in found.items() if what == "restored"} == {"download_wordnet", BASE, *MINED}
    (workspace,) = finished.path.glob(".workspaces/*")
    assert "| CVR |" in (workspace / "reports/report.md").read_text()
    metrics = json.loads((workspace / "results/wordnet/metrics.json").read_text())
    assert 0 <= metrics["item"]["CVR"]["mean"] <= 1


@pytest.mark.soak
def test_a_sweep_draws_maps_and_is_one_run_in_mlflow(finished):
    grid = ("sweep.alpha=[1.0,.inf]", "sweep.beta=[0.0,1.0]", "sweep.gamma=[]", "sweep.rho=[]")
    output = finished.run(sys.executable, "-m", "flows", "sweep", "--set", *grid)
    assert "Means over the validation queries" in output
    found = outcomes(output)
    cells = [f"wordnet-combined-a{alpha}-b{beta}-g1-1" for alpha in ("1", "inf") for beta in "01"]
    trained = {stage for stage in found if stage.startswith("finetune@")}
    assert trained == {f"finetune@{cell}" for cell in cells}
    assert {what for stage, what in found.items() if "wordnet-combined" in stage} == {"ran"}
    (workspace,) = finished.path.glob(".workspaces/*")
    maps = sorted(path.name for path in (workspace / "rankings").glob("*-map-*.png"))
    assert maps == [f"wordnet-map-{measure}.png" for measure in ("R10", "nDCG10", "overlap3")]
    runs = runs_in(finished)
    _, parent = parents(runs)
    assert trained <= set(children(runs, parent.info.run_id))


@pytest.mark.soak
def test_a_comparison_trains_each_loss_with_each_seed_and_keeps_one_table(finished):
    words = ("compare.losses=[ntp,item]", "compare.seeds=[1,2]")
    found = outcomes(finished.run(sys.executable, "-m", "flows", "compare", "--set", *words))
    trained = {stage for stage in found if stage.startswith("finetune@")}
    assert trained == {f"finetune@wordnet-{loss}-{seed}" for loss in ("ntp", "item") for seed in (1, 2)}
    (workspace,) = finished.path.glob(".workspaces/*")
    kept = (workspace / "state/comparison.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in kept if line.startswith("|")][2:5]
    assert [row[:2] for row in rows] == [["ntp", "2"], ["item", "2"], ["neighbours", "-"]]
    assert [row[-1].isdigit() for row in rows] == [True, True, False]  # CPU seconds


@pytest.mark.soak
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_flow_that_is_stopped_takes_its_processes_with_it(finished, number):
    """Prefect's own server among them: this flow starts one. The next run goes on."""
    del finished.env["PREFECT_API_URL"]
    finished.change("finetune", arguments={"max_steps": 100_000})
    flow = finished.start(sys.executable, "-m", "flows", "pipeline")
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
    finished.change("finetune", arguments={"max_steps": 4})
    assert set(outcomes(finished.flow()).values()) <= {"reused", "restored"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--set", "finetune.treads=3"), "the overrides: finetune.treads is not a setting\ndid you mean threads?"),
        (("--data", "nowhere"), "nowhere is no folder\nname one with queries, documents and qrels"),
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
    assert remedy == "make room, e.g. by `make clean`"


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
    finished.change("finetune", arguments={"max_steps": 6})
    output = finished.flow(code=1)
    assert "no MLflow server answers there" in output.splitlines()[-2]
    assert outcomes(output) == {}
