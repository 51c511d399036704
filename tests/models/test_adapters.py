"""Adapters beside a merged ranker: with their base model they are that ranker again."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file

from arrange.docids.tokens import train_tokenizer
from arrange.errors import UserError
from arrange.models import adapters, ranker
from arrange.training import packing

LORA = {"r": 4, "target_modules": "all-linear"}
STEPS = {"max_steps": 6, "learning_rate": 5e-2}


def trained(folder, tied=True, options=None):
    """Train adapters on a base model in `folder`, with docIDs of new tokens; returns the ranker's folder."""
    tokenizer, base = train_tokenizer(["a dog"], 260), folder / "base"
    ranker.from_scratch(tiny.SHAPE | {"tie_word_embeddings": tied}, tokenizer, 32, seed=0).save_pretrained(base)
    tokenizer.save_pretrained(base)
    tokenizer.add_tokens(["<a_1>", "<a_2>"])
    new = ranker.new_tokens(base, tokenizer)
    docids = packing.docid_tokens([[260, 2], [261, 2], [260, 261, 2]])
    adapted = ranker.with_lora(ranker.by_name(str(base), tokenizer, seed=1), options or LORA, 1, new)
    lists = dataclasses.replace(tiny.LISTS, docids=docids)
    tiny.trained(folder, adapted, lists=lists, arguments=STEPS, temperature=3.0)
    return folder / "model"


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize(
    "options",
    [
        LORA,
        {"r": 2, "use_dora": True, "modules_to_save": ["lm_head"]},
        LORA | {"trainable_token_indices": [260]},  # so the row of 261 stays as it was drawn
    ],
    ids=["all linear", "whole modules too", "one new token"],
)
def test_the_base_model_and_its_adapters_are_the_merged_ranker(tmp_path, tied, options):
    if tied and "modules_to_save" in options:
        options = {"r": 2, "use_dora": True}
    folder = trained(tmp_path, tied, options)
    whole, made = ranker.load(folder), adapters.load(folder, tmp_path / "base")
    assert not made.training
    assert made.config.children_temperature == whole.config.children_temperature == 3.0
    assert (made.get_output_embeddings().weight is made.get_input_embeddings().weight) == tied
    expected, found = whole.state_dict(), made.state_dict()
    assert found.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], msg=name)
    start = ranker.load(tmp_path / "base").state_dict()
    assert any(not torch.equal(start[name], expected[name][: len(start[name])]) for name in start)


def test_they_are_small_and_say_which_base_model_they_need(tmp_path):
    folder = trained(tmp_path)
    files = {path.name for path in (folder / adapters.FOLDER).iterdir()}
    assert files == {"adapter_model.safetensors", "adapter_config.json", "base.json"}
    noted = adapters.noted_base(folder)
    assert noted == {"folder": str(tmp_path / "base"), "sha256": adapters.weights(tmp_path / "base")}
    assert noted["sha256"].keys() == {"model.safetensors"}
    names = json.loads((folder / adapters.FOLDER / "adapter_config.json").read_text())["target_modules"]
    assert names == sorted(names)  # peft keeps a set, in another order in each process
    assert len(names) > 3


def test_there_are_none_of_a_whole_training_and_of_random_weights(tmp_path):
    tiny.trained(tmp_path, arguments=STEPS)
    tiny.trained(tmp_path / "random", ranker.with_lora(tiny.ranker(), LORA, seed=1), arguments=STEPS)
    for folder in (tmp_path / "model", tmp_path / "random" / "model"):
        assert not (folder / adapters.FOLDER).exists()
        with pytest.raises(UserError, match=r"keeps no adapters: .*\nexport it merged"):
            adapters.noted_base(folder)


def test_adapters_that_would_make_another_ranker_are_not_kept(tmp_path, monkeypatch):
    """As those that change the base model's weights when they begin."""
    real = adapters.save

    def changed(made: torch.nn.Module, folder: Path) -> None:
        with torch.no_grad():
            for name, weight in made.named_parameters():
                if "lora_B" in name:
                    weight.add_(1.0)
            real(made, folder)
            for name, weight in made.named_parameters():
                if "lora_B" in name:
                    weight.sub_(1.0)

    monkeypatch.setattr(adapters, "save", changed)
    folder = trained(tmp_path)
    assert not (folder / adapters.FOLDER).exists()
    assert ranker.load(folder)


@pytest.fixture(scope="module")
def apart(tmp_path_factory):
    """A ranker without its merged weights, and its base model beside it."""
    folder = trained(tmp_path_factory.mktemp("apart"))
    (folder / "model.safetensors").unlink()
    return folder


def refusal(function, *words):
    with pytest.raises(UserError) as error:
        function(*words)
    assert str(error.value).count("\n") == 1
    return str(error.value)


def test_a_base_model_that_is_missing_or_another_is_named(apart, tmp_path, monkeypatch):
    base = apart.parent / "base"
    assert adapters.base_of(apart, {}) == base
    digest = adapters.weights(base)["model.safetensors"]
    remedy = f"set ARRANGE_BASE_MODEL to a folder whose model.safetensors has the sha256 {digest}"
    monkeypatch.setenv("ARRANGE_BASE_MODEL", str(tmp_path / "nowhere"))
    refused = refusal(adapters.base_of, apart, {"source": "hub", "name": "a/b", "revision": "main"})
    problem = f"{tmp_path / 'nowhere'} has no model.safetensors"
    assert refused == f"{apart} holds adapters alone, and needs its base model: {problem}\n{remedy}"
    ranker.from_scratch(tiny.SHAPE, tiny.Tokens(), 32, seed=9).save_pretrained(tmp_path / "other")
    monkeypatch.setenv("ARRANGE_BASE_MODEL", str(tmp_path / "other"))
    assert f"{tmp_path / 'other'} has other weights\n{remedy}" in refusal(adapters.base_of, apart, {})
    monkeypatch.setenv("ARRANGE_BASE_MODEL", str(base))
    assert adapters.base_of(apart, {}) == base


@pytest.mark.parametrize("damage", ["missing", "truncated", "a tensor less", "no number", "configuration"])
def test_damaged_adapters_are_named(apart, tmp_path, damage):
    copy = shutil.copytree(apart, tmp_path / "copy")
    file = copy / adapters.FOLDER / "adapter_model.safetensors"
    tensors = load_file(file)
    if damage == "missing":
        torch.save(tensors, file.with_name("adapter_model.bin"))  # a pickle is no substitute
        file.unlink()
    elif damage == "truncated":
        file.write_bytes(file.read_bytes()[:-10])
    elif damage == "a tensor less":
        save_file(dict(list(tensors.items())[1:]), file)
    elif damage == "no number":
        save_file({name: tensor * float("nan") for name, tensor in tensors.items()}, file)
    else:
        (copy / adapters.FOLDER / "adapter_config.json").write_text("{")
    assert str(copy) in refusal(adapters.load, copy, apart.parent / "base")
