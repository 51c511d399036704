"""Deployments and presets that are named for WordNet have no other data in them, by DVC's own graph."""

import shutil
import subprocess

import pytest
import yaml
from checkout import PROJECT
from dvc.repo import Repo

from flows import stages
from flows.compare import cells
from settings import params

SECTIONS = params.load(PROJECT / "params.yaml")
DEPLOYMENTS = {each["name"]: each for each in yaml.safe_load((PROJECT / "prefect.yaml").read_text())["deployments"]}


def needed(sections, tmp_path):
    """The stages that a flow with these sections runs, or reuses."""
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    Repo.init(str(tmp_path)).close()
    shutil.copy(PROJECT / "dvc.yaml", tmp_path)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(sections))
    before = stages.graph(tmp_path, ["track"]).before
    return set(before)


def of_products(names):
    return {name for name in names if "products" in name or "esci" in name}


def test_the_deployment_wordnet_is_of_wordnet_alone(tmp_path):
    preset = DEPLOYMENTS["wordnet"]["parameters"]["preset"]
    settings = params.validate(params.effective(SECTIONS, preset, {}), preset)
    assert list(settings.datasets) == ["wordnet"]
    for entries in (settings.catalogues, settings.rankers, settings.baselines):
        assert {entry.data for entry in entries.values()} == {"wordnet"}
    found = needed(params.effective(SECTIONS, preset, {}), tmp_path)
    assert {f"finetune@{name}" for name in SECTIONS["rankers"] if name.startswith("wordnet-")} < found
    assert of_products(found) == set()


@pytest.mark.parametrize("preset", ["in_context", "standard", "paper"])
def test_no_preset_on_wordnet_makes_products(preset, tmp_path):
    assert of_products(needed(params.effective(SECTIONS, preset, {}), tmp_path)) == set()


def test_the_quickstart_has_both(tmp_path):
    stages_of_both = {"prepare@wordnet", "prepare@products", "docids@products-text"}
    assert stages_of_both < needed(params.effective(SECTIONS, None, {}), tmp_path)


def test_a_reranking_waits_for_its_first_stage_and_a_fusion_for_both_its_systems(tmp_path):
    fusions = {"wordnet-both": {"data": "wordnet", "first": "wordnet-plackett_luce_bm25", "second": "wordnet-dual"}}
    needed(params.effective(SECTIONS, "full", {"fusions": fusions}), tmp_path)
    before = stages.graph(tmp_path, ["evaluate"]).before
    assert {"controls@wordnet", "rank@wordnet-plackett_luce"} < {*before["rerank@wordnet-plackett_luce_bm25"]}
    assert {"rerank@wordnet-plackett_luce_bm25", "baselines@wordnet-dual"} < {*before["fuse@wordnet-both"]}
    assert {"rerank@wordnet-plackett_luce_bm25", "fuse@wordnet-both"} < {*before["evaluate@wordnet"]}


@pytest.mark.parametrize("preset", ["full", "pretrained"])
def test_stages_that_work_with_a_language_model_are_known_by_their_rooms(preset, tmp_path):
    needed(params.effective(SECTIONS, preset, {}), tmp_path)
    wanted = stages.graph(tmp_path, ["track"])
    kinds = {stage.partition("@")[0] for stage in wanted.with_model}
    assert {"finetune", "rank", "rerank", "baselines", "export", "swap"} <= kinds
    assert not kinds & {"search", "prepare", "docids", "controls", "evaluate", "ranking_report", "track"}


def test_a_sweep_over_products_needs_nothing_of_wordnet(tmp_path):
    sections = params.effective(SECTIONS, None, {"sweep": {"data": "products", "docids": "text"}})
    found = needed(params.apply(sections, cells(sections)), tmp_path)
    assert {"prepare@products", "finetune@products-combined-a1-b1-g1-1", "swap"} < found
    assert not any("wordnet" in stage for stage in found)
