"""What a DVC user does in the checkout works as it does everywhere."""

import json
import shutil

import pytest
import yaml
from checkout import STAGES, Checkout, parents, runs_in

pytestmark = pytest.mark.slow


def ran(output: str) -> set[str]:
    return {stage for stage in STAGES if f"Running stage '{stage}'" in output}


def test_metrics_params_plots_and_dag(finished):
    finished.git("add", "dvc.lock")
    finished.git("commit", "--quiet", "--message", "results")
    metrics = json.loads(finished.dvc("metrics", "show", "--json"))[""]["data"]
    assert metrics["results/wordnet/metrics.json"]["data"]["item"]["nDCG@10"]["queries"] == 5
    assert metrics["docids/wordnet-text/statistics.json"]["data"]["documents"] == 72
    finished.change("rank", beams=6)
    assert json.loads(finished.dvc("params", "diff", "--json")) == {
        "params.yaml": {"rank.beams": {"old": 5, "new": 6, "diff": 1}}
    }
    assert "finetune@wordnet-item" in finished.dvc("dag")
    assert "results/wordnet/wordnet-item.history.csv" in finished.dvc("plots", "show", "--json")


@pytest.mark.soak
@pytest.mark.parametrize("where", [[], ["--temp"]])
def test_an_experiment(finished, where):
    finished.dvc("repro")  # of data sets that no ranker uses too: `exp apply` checks everything out
    finished.git("add", "dvc.lock")
    finished.git("commit", "--quiet", "--message", "results")
    output = finished.dvc("exp", "run", *where, "-S", "evaluate.resamples=30", "--name", "more", "track")
    assert ran(output) == {
        "evaluate@wordnet",
        "export@wordnet",
        "activations_report",
        "ranking_report",
        "report",
        "track",
    }
    assert "more" in finished.dvc("exp", "list", "--name-only")
    assert len(parents(runs_in(finished))) == 2  # in the checkout's store, from a temporary clone too
    if where:
        assert finished.is_up_to_date()
        finished.dvc("exp", "apply", "more")
    assert yaml.safe_load((finished.path / "params.yaml").read_text())["evaluate"]["resamples"] == 30
    assert finished.is_up_to_date()


def test_a_remote_brings_the_results_to_another_clone(finished, tmp_path):
    finished.dvc("remote", "add", "--default", "shelf", str(tmp_path / "a shelf"))
    finished.git("add", "--all")
    finished.git("commit", "--quiet", "--message", "results and where they are")
    finished.dvc("push")
    finished.git("clone", "--quiet", str(finished.path), str(tmp_path / "other"))
    shutil.rmtree(finished.path)
    other = Checkout(tmp_path / "other", finished.env)
    other.dvc("pull", "--with-deps", "track")
    assert other.is_up_to_date()
    assert ran(other.dvc("repro", "track")) == set()
