"""Exports that hold adapters alone: they rank as the merged ones do, where their base model is."""

import json
import shutil

import hub_server
import polars as pl
import pytest
import small_export
import torch
from small_export import QUERIES

from arrange.base_models.prepare import prepare
from arrange.base_models.settings import Exported
from arrange.docids.catalogue import read_tokenizer
from arrange.errors import UserError
from arrange.models import adapters
from arrange.models import ranker as models
from arrange.serving import exported, rank
from arrange.serving.hub import opened, push_to_hub

LORA = {"r": 2, "target_modules": "all-linear"}


@pytest.fixture
def project(tmp_path, monkeypatch, folder):
    """A checkout with base_models/small and a ranker of it in models/animals; its catalogue is that of `folder`."""
    monkeypatch.chdir(tmp_path)
    tokenizer = read_tokenizer(folder / "tokenizer")
    models.from_scratch(small_export.SHAPE, tokenizer, 96, seed=3).save_pretrained("base_models/small")
    adapted = models.with_lora(models.by_name("base_models/small", tokenizer, 1), LORA, seed=1)
    torch.manual_seed(5)
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.3)
    adapters.save(adapted, tmp_path / "models/animals/adapter")
    models.save(adapted, tmp_path / "models/animals")
    return tmp_path


def export(project, folder, kind, **entry):
    documents, card = pl.read_parquet(folder / "documents.parquet"), exported.read_card(folder)
    parts = {name: card[name] for name in ("data", "ranker", "validated", "parameters", "sha256", "metrics")}
    parts["parameters"] = parts["parameters"] | ({"base_model": entry} if entry else {})
    exported.write(
        project / "exports" / kind,
        model=project / "models/animals",
        catalogue=folder,
        documents=documents,
        recipe=exported.Recipe(**card["recipe"]),
        card=parts,
        adapters=kind,
    )
    return project / "exports" / kind


def numbers(ranked):
    return {(query, one.doc_id): one.log_probability for query, found in enumerate(ranked) for one in found}


def test_an_export_apart_ranks_as_the_merged_one_and_is_small(project, folder, capsys):
    merged, apart = (export(project, folder, kind) for kind in ("merged", "apart"))
    expected, found = (exported.load(place).rank(QUERIES, k=8) for place in (merged, apart))
    assert [[one.doc_id for one in ranked] for ranked in found] == [[one.doc_id for one in r] for r in expected]
    assert numbers(found) == pytest.approx(numbers(expected), abs=1e-5)
    base = exported.load(small_export.write(project / "base", seed=3)).rank(QUERIES, k=8)
    assert numbers(base) != pytest.approx(numbers(expected), abs=1e-2)
    assert {path.name for path in (merged / "model").iterdir()} >= {"config.json", "model.safetensors"}
    assert not (merged / "model/adapter").exists()
    assert not list((apart / "model").glob("*.safetensors"))
    rank.main([str(apart), QUERIES[0], "-k", "2", "--beams", "8", "--json"])
    assert [one["doc_id"] for one in json.loads(capsys.readouterr().out)] == [one.doc_id for one in expected[0][:2]]


def test_its_card_says_which_base_model_it_needs(project, folder):
    apart = export(project, folder, "apart")
    noted = adapters.weights(project / "base_models/small")
    card = exported.read_card(apart)
    assert card["base"] == "base_models/small"
    assert card["sha256"] == {"data": {"queries": "0"}, "base_models/small": noted}
    page = (apart / "README.md").read_text()
    assert "needs its base model, whose weights have the hashes below: in `base_models/small`" in page
    assert f"- base_models/small/model.safetensors: `{noted['model.safetensors']}`" in page
    assert "base model" not in (export(project, folder, "merged") / "README.md").read_text()


def test_elsewhere_it_needs_the_base_models_folder(project, folder, monkeypatch, capsys):
    apart = export(project, folder, "apart")
    (project / "base_models").rename(project / "moved")
    with pytest.raises(SystemExit) as error:
        rank.main([str(apart), "a dog"])
    said = str(error.value).split("\n")
    assert said[0].endswith("needs its base model: base_models/small has no model.safetensors")
    assert said[1].startswith("set ARRANGE_BASE_MODEL to a folder whose model.safetensors has the sha256 ")
    monkeypatch.setenv("ARRANGE_BASE_MODEL", str(project / "moved/small"))
    rank.main([str(apart), "a dog", "-k", "1"])
    assert capsys.readouterr().out.startswith("1 ")


def test_it_is_pushed_and_its_base_model_comes_from_the_hub(project, folder, monkeypatch):
    apart = export(project, folder, "apart", source="hub", name="me/small", revision="main")
    expected = exported.load(apart).rank(QUERIES, k=5)
    with hub_server.running() as hub:
        hub_server.use(hub, monkeypatch, project / "cache")
        push_to_hub(apart, "me/animals")
        assert "model/adapter/adapter_model.safetensors" in hub.files("models/me/animals")
        hub.add_folder("models/me/small", project / "base_models/small")
        shutil.rmtree(project / "base_models")
        assert opened("hf://me/animals").rank(QUERIES, k=5) == expected
        hub.add("models/me/small", hub.files("models/me/small") | {"model.safetensors": b"another"})
        with pytest.raises(UserError, match="has other weights"):
            opened("hf://me/animals")


def test_a_training_that_continues_a_ranker_wants_it_merged(project, folder):
    merged, apart = (export(project, folder, kind) for kind in ("merged", "apart"))
    prepare(Exported(folder=str(merged)), project / "continued")
    with pytest.raises(UserError, match=r"holds adapters alone\ngive an export that is merged"):
        prepare(Exported(folder=str(apart)), project / "refused")


def test_a_ranker_without_adapters_can_t_be_exported_apart(project, folder):
    shutil.rmtree(project / "models/animals/adapter")
    with pytest.raises(UserError, match="models/animals keeps no adapters"):
        export(project, folder, "apart")
    assert not (project / "exports/apart").exists()
