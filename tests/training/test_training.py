"""Training: what it learns, that it is deterministic, continues after a kill, and the errors that it raises."""

import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path

import all_terms
import numpy as np
import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file

from arrange.docids import trie
from arrange.docids.tokens import train_tokenizer
from arrange.errors import UserError
from arrange.files import sha256
from arrange.models import ranker as model
from arrange.models.normaliser import temperature_of
from arrange.training import checkpoints, examples, losses, packing, unpacked
from arrange.training import packed_pass as packed

ROOT = Path(__file__).parents[2]


def probabilities(ranker, query):
    prompt = examples.prompt_of(tiny.LISTS, query)
    with torch.no_grad():
        return unpacked.document_log_probabilities(ranker.eval(), prompt, tiny.DOCIDS).exp().tolist()


@pytest.mark.parametrize(
    ("loss", "optimum"),
    [
        (losses.Item(alpha=1.0), [6 / 11, 3 / 11, 2 / 11]),
        (losses.Combined(alpha=0.0, beta=2.0), [36 / 49, 9 / 49, 4 / 49]),
        (losses.Geometric(rho=0.5), [4 / 7, 2 / 7, 1 / 7]),
        (losses.Geometric(rho=0.5, gamma=0.0), [4 / 7, 2 / 7, 1 / 7]),
    ],
)
def test_training_finds_the_optimum_of_the_loss(tmp_path, loss, optimum):
    """P(d_r | q) ~ mu_r: r^-alpha, r^-beta, rho^(r - 1); gamma moves no optimum."""
    ranker = tiny.ranker()
    steps = {"max_steps": 500, "learning_rate": 2e-2, "per_device_train_batch_size": 4}
    tiny.trained(
        tmp_path, ranker, loss=loss, arguments=steps | {"eval_strategy": "no", "save_strategy": "no"} | NO_BEST
    )
    for query in range(len(tiny.PROMPTS)):
        assert probabilities(ranker, query) == pytest.approx(optimum, abs=0.03)


NO_BEST = {"load_best_model_at_end": False}


def test_history_progress_and_the_checkpoint_that_is_best_on_validation(tmp_path):
    seen, qualities, states, kept = [], iter([0.1, 0.9, 0.2]), [], []

    def validate(ranker):
        states.append(ranker.model.norm.weight.detach().clone())
        return {"quality": next(qualities), "loss": 1.0}

    def finish(ranker):
        kept.append(ranker.model.norm.weight.detach().clone())
        ranker.config.docid_score = "mean"

    history = tiny.trained(tmp_path, validate=validate, finish=finish, progress=seen.append)
    assert seen == list(range(1, 31))
    assert [row["step"] for row in history] == [5, 10, 15, 20, 25, 30]
    assert [row.get("validation_quality") for row in history] == [None, 0.1, None, 0.9, None, 0.2]
    assert history[-1].keys() == {
        "step",
        "loss",
        "grad_norm",
        "learning_rate",
        "validation_quality",
        "validation_loss",
    }
    saved = model.load(tmp_path / "model")
    assert torch.equal(saved.model.norm.weight, states[1])
    assert len(kept) == 1
    assert torch.equal(kept[0], states[1])
    assert saved.config.docid_score == "mean"


@pytest.mark.parametrize("steps", [0, 2])
def test_a_ranker_keeps_the_temperature_that_it_was_trained_with(tmp_path, steps):
    how = {"normaliser": "children", "temperature": 2.0}
    how["lists"] = dataclasses.replace(tiny.LISTS, trie=trie.build(tiny.DOCIDS))
    tiny.trained(
        tmp_path, arguments={"max_steps": steps, "eval_strategy": "no", "save_strategy": "no"} | NO_BEST, **how
    )
    assert temperature_of(model.load(tmp_path / "model").config) == 2.0


def test_the_last_steps_are_logged_though_they_are_no_multiple(tmp_path):
    history = tiny.trained(
        tmp_path, arguments={"max_steps": 12, "eval_strategy": "no", "save_strategy": "no"} | NO_BEST
    )
    assert [row["step"] for row in history] == [5, 10, 12]


@pytest.mark.parametrize("killed_at", [15, *(pytest.param(step, marks=pytest.mark.slow) for step in (4, 20, 29))])
def test_a_killed_training_goes_on_and_ends_with_the_same_bits(tmp_path, killed_at):
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    command = [sys.executable, tiny.__file__]
    killed = subprocess.run([*command, tmp_path / "a", str(killed_at)], env=environment)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "a/model").exists()
    saved = (killed_at - 1) // 10  # it is killed before it saves
    assert len(list((tmp_path / "a/unfinished").glob("checkpoint-*"))) == saved
    outputs = [
        subprocess.run([*command, tmp_path / name], env=environment, capture_output=True, text=True, check=True).stdout
        for name in ("a", "b")
    ]
    assert outputs[0] == outputs[1]
    assert sha256(tmp_path / "a/model/model.safetensors") == sha256(tmp_path / "b/model/model.safetensors")


def test_one_query_at_a_time_with_accumulation_equals_one_batch(tmp_path):
    found = []
    for name, batch in (("a", (4, 1)), ("b", (1, 4))):
        sizes = {"per_device_train_batch_size": batch[0], "gradient_accumulation_steps": batch[1]}
        history = tiny.trained(tmp_path / name, arguments=sizes | {"max_steps": 10})
        found.append([row["loss"] for row in history])
    assert found[0] == pytest.approx(found[1], rel=1e-4)


def test_all_terms_are_the_same_with_accumulation(tmp_path):
    """Some queries have no pair. A mean over the others alone would count each of them more in a small batch."""
    whole, pieces = (all_terms.trained(tmp_path / name, *sizes) for name, sizes in (("a", (4, 1)), ("b", (1, 4))))
    for name in ("loss", "grad_norm"):
        assert [row[name] for row in whole] == pytest.approx([row[name] for row in pieces], rel=1e-4)


@pytest.mark.slow
def test_all_terms_are_the_same_in_two_processes(tmp_path):
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command += ["--local-ranks-filter", "0", all_terms.__file__, tmp_path / "two", "2", "1"]
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    found = [[float(value) for value in line.split()] for line in output.splitlines()]
    expected = [[row["loss"], row["grad_norm"]] for row in all_terms.trained(tmp_path / "one", 4, 1)]
    assert np.array(found) == pytest.approx(np.array(expected), rel=1e-4)


def test_terms_enter_with_their_weight(tmp_path):
    """The first logged loss of `item` and of each term add up to that of all three together."""

    def first(name, **terms):
        once = {"max_steps": 1, "logging_steps": 1, "eval_strategy": "no", "save_strategy": "no"} | NO_BEST
        loss = losses.Item(alpha=1.0, terms=losses.Terms(**terms))
        return tiny.trained(tmp_path / name, loss=loss, arguments=once)[0]["loss"]

    alone, listwise, pairs = first("a"), first("b", plackett_luce=1.0), first("c", hinge=1.0, margin=9.0)
    together = first("d", plackett_luce=0.5, hinge=2.0, margin=9.0)
    assert min(listwise, pairs) > alone + 0.001
    assert together == pytest.approx(alone + 0.5 * (listwise - alone) + 2 * (pairs - alone), rel=1e-5)


def test_a_loss_that_is_no_number_is_named_with_step_and_queries_and_checkpoints_stay(tmp_path):
    def poison(step):
        if step == 12:
            with torch.no_grad():
                ranker.lm_head.weight[2] = torch.nan

    ranker = tiny.ranker()
    with pytest.raises(UserError) as caught:
        tiny.trained(tmp_path, ranker, progress=poison)
    queries = ", ".join(str(query) for query in examples.Order(4, 90, 7).query_N[36:39])
    assert f"the loss is nan at step 13, queries (rows) {queries}\n" in str(caught.value)
    assert not (tmp_path / "model").exists()
    assert checkpoints.last_whole(tmp_path / "unfinished").name == "checkpoint-10"
    assert not torch.are_deterministic_algorithms_enabled()
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ


@pytest.mark.parametrize("evaluated", [True, False])
def test_weights_that_are_no_numbers_are_told_with_the_step_before_they_are_ranked_with_or_saved(tmp_path, evaluated):
    def poison(step):
        if step == 10:
            with torch.no_grad():
                ranker.lm_head.weight[2] = torch.nan

    ranker, validated = tiny.ranker(), []
    arguments = {"max_steps": 10} | ({} if evaluated else {"eval_strategy": "no", "save_strategy": "no"} | NO_BEST)
    with pytest.raises(UserError, match=r"after step 10 the weights model\.embed_tokens\.weight are not all numbers\n"):
        tiny.trained(tmp_path, ranker, arguments=arguments, progress=poison, validate=validated.append)
    assert validated == []
    assert not (tmp_path / "model").exists()


def test_a_model_with_weights_that_are_no_numbers_is_told_by_its_folder(tmp_path):
    ranker = tiny.ranker()
    with torch.no_grad():
        ranker.model.norm.weight[0] = torch.inf
    model.save(ranker, tmp_path / "m")
    with pytest.raises(UserError, match=rf"{tmp_path / 'm'}: the weights model\.norm\.weight are not all numbers"):
        model.load(tmp_path / "m")


def test_a_model_that_lacks_a_weight_is_told_and_not_loaded_with_random_numbers(tmp_path):
    model.save(tiny.ranker(), tmp_path / "m")
    weights = load_file(tmp_path / "m" / "model.safetensors")
    del weights["model.norm.weight"]
    save_file(weights, tmp_path / "m" / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match=rf"{tmp_path / 'm'}: the model has no weights model\.norm\.weight \(1 are not"):
        model.load(tmp_path / "m")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            {"learning_rat": 1},
            "finetune.arguments.learning_rat: transformers.TrainingArguments has no .*\nperhaps 'learning_rate'",
        ),
        ({"eval_steps": 7}, "finetune.arguments: "),  # saving steps must be a multiple of them
        ({"max_steps": -1}, "finetune.arguments.max_steps is -1"),
    ],
)
def test_arguments_that_transformers_refuses_are_named(tmp_path, arguments, words):
    with pytest.raises(UserError, match=words):
        tiny.trained(tmp_path, arguments=arguments)


def test_lora_trains_adapters_and_saves_them_merged(tmp_path):
    start = tiny.ranker()
    start.save_pretrained(tmp_path / "start")
    adapted = model.with_lora(tiny.ranker(), {"r": 4, "target_modules": "all-linear"}, seed=1)
    history = tiny.trained(tmp_path, adapted, arguments={"max_steps": 60, "learning_rate": 5e-2})
    assert history[-1]["loss"] < history[0]["loss"] - 0.1
    merged = model.load(tmp_path / "model")
    assert torch.equal(merged.get_input_embeddings().weight, start.get_input_embeddings().weight)
    assert not torch.equal(merged.model.layers[0].mlp.up_proj.weight, start.model.layers[0].mlp.up_proj.weight)
    with pytest.raises(UserError, match=r"finetune\.lora\.rr: peft\.LoraConfig has no 'rr'\nperhaps 'r'"):
        model.with_lora(tiny.ranker(), {"rr": 4}, seed=1)


def test_lora_without_options_has_the_defaults_and_none_trains_all_weights():
    start = tiny.ranker()
    assert model.with_lora(start, None, seed=1) is start
    trained = {name for name, weight in model.with_lora(start, {}, seed=1).named_parameters() if weight.requires_grad}
    assert trained
    assert all("lora_" in name for name in trained)


@pytest.mark.parametrize("tied", [True, False])
def test_lora_trains_the_embeddings_of_new_tokens_which_differ_from_the_start(tmp_path, tied):
    tokenizer = train_tokenizer(["a dog"], 260)
    shape = tiny.SHAPE | {"tie_word_embeddings": tied}
    model.from_scratch(shape, tokenizer, 32, seed=0).save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    tokenizer.add_tokens(["<a_1>", "<a_2>"])
    new = model.new_tokens(tmp_path / "base", tokenizer)
    assert new == [260, 261]
    start = model.by_name(str(tmp_path / "base"), tokenizer, seed=1)
    rows = start.get_input_embeddings().weight.detach().clone()
    assert (rows[260] - rows[261]).abs().max() > rows[:260].std()
    docids = packing.docid_tokens([[260, 2], [261, 2], [260, 261, 2]])
    lists = dataclasses.replace(tiny.LISTS, docids=docids)
    adapted = model.with_lora(start, {"r": 4, "target_modules": "all-linear"}, 1, new)
    tiny.trained(tmp_path, adapted, lists=lists, arguments={"max_steps": 20, "learning_rate": 5e-2})
    saved = model.load(tmp_path / "model")
    after = saved.get_input_embeddings().weight
    assert torch.equal(after[:260], rows[:260])
    assert (after[260:] - rows[260:]).abs().max() > 0.01
    assert (saved.get_output_embeddings().weight is after) == tied


def test_a_saved_ranker_that_is_not_the_trained_one_is_an_error(tmp_path):
    options = {"r": 4, "target_modules": ["embed_tokens", "q_proj"]}  # merged, it changes the tied output layer too
    adapted = model.with_lora(tiny.ranker(), options, seed=1)
    with pytest.raises(UserError, match=r"what was saved ranks otherwise than what was trained: .*\n.*target_modules"):
        tiny.trained(tmp_path, adapted, arguments={"max_steps": 20, "learning_rate": 5e-2})
    assert not (tmp_path / "model").exists()


def test_no_steps_save_the_base_model_with_its_validation(tmp_path):
    history = tiny.trained(tmp_path, arguments={"max_steps": 0})
    assert history == [{"step": 0, "validation_quality": 0.5}]
    saved, start = model.load(tmp_path / "model").state_dict(), tiny.ranker().state_dict()
    assert all(torch.equal(saved[name], start[name]) for name in start)


def test_a_model_by_name_gets_rows_for_new_tokens_and_a_missing_one_is_named(tmp_path, monkeypatch):
    tokenizer = train_tokenizer(["a dog"], 260)
    tokenizer.add_tokens(["<a_1>"])
    tiny.ranker().save_pretrained(tmp_path / "small")
    found = [model.by_name(str(tmp_path / "small"), tokenizer, seed) for seed in (1, 1, 2)]
    rows = [one.get_input_embeddings().weight[-1] for one in found]
    assert found[0].get_input_embeddings().num_embeddings == 261
    assert torch.equal(rows[0], rows[1])
    assert not torch.equal(rows[0], rows[2])
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        UserError, match=r"no model 'some/where', looked for as a folder, in the local cache and on the hub"
    ):
        model.by_name("some/where", tokenizer, 1)


def test_seeds_decide_the_first_weights():
    a, b, c = (tiny.ranker(seed).lm_head.weight for seed in (0, 0, 1))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


@pytest.mark.parametrize("spoil", ["nothing there", "truncated weights", "broken config"])
def test_a_folder_without_a_whole_model_is_named(tmp_path, spoil):
    folder = tmp_path / "m"
    if spoil != "nothing there":
        tiny.ranker().save_pretrained(folder)
        file = folder / ("model.safetensors" if spoil == "truncated weights" else "config.json")
        file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(UserError, match=str(folder)):
        model.load(folder)


def test_the_first_loss_is_that_of_the_first_batch_in_the_drawn_order(tmp_path):
    items = [examples.Order(4, 90, 7)[place] for place in range(3)]
    weights = examples.list_weights(tiny.LISTS, losses.Item(alpha=1.0))
    batch = examples.batch(items, tiny.LISTS, weights, negatives=False)
    with torch.no_grad():
        expected = packed.cross_entropy(packed.edge_log_probabilities(tiny.ranker(), batch), batch).item()
    once = {"max_steps": 1, "logging_steps": 1, "eval_strategy": "no", "save_strategy": "no"} | NO_BEST
    assert tiny.trained(tmp_path, arguments=once)[0]["loss"] == pytest.approx(expected, abs=1e-5)
    assert np.isfinite(expected)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ({"model_type": "lama"}, "no model of this shape: Unrecognized model identifier: lama"),
        ({"hidden_size": 8}, "no model of this shape: 'model_type'"),
        (
            {"model_type": "llama", "hidden_sise": 8},
            "scratch.hidden_sise: llama has no 'hidden_sise'\nperhaps 'hidden_size'",
        ),
    ],
)
def test_a_shape_that_transformers_does_not_know_is_named(shape, words):
    with pytest.raises(UserError, match=words):
        model.from_scratch(shape, tiny.Tokens(), 8, seed=0)


@pytest.mark.parametrize(
    "shape",
    [
        {"model_type": "bloom", "hidden_size": 8, "n_layer": 1, "n_head": 2},  # ALiBi
        {"model_type": "gpt_neo", "hidden_size": 8, "num_layers": 2, "num_heads": 2, "window_size": 4,
         "attention_types": [[["global", "local"], 1]]},
    ],
    ids=lambda shape: shape["model_type"],
)  # fmt: skip
def test_a_model_that_the_packed_pass_would_be_wrong_with_is_refused(shape):
    with pytest.raises(UserError, match=f"{shape['model_type']}: a token's state in a tree is not"):
        model.from_scratch(shape, tiny.Tokens(), 64, seed=0)


def test_a_shape_of_another_family_works_as_well():
    made = model.from_scratch({"model_type": "gpt2", "n_embd": 8, "n_layer": 1, "n_head": 2}, tiny.Tokens(), 9, seed=0)
    assert (made.config.vocab_size, made.config.max_position_embeddings) == (64, 9)
    assert made.config.tie_word_embeddings
