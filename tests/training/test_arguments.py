"""The arguments of transformers' Trainer: each counts or is refused, and what a training is made of is tried before."""

from dataclasses import fields

import gpus
import pytest
import tiny
from transformers import TrainingArguments

from arrange.errors import UserError
from arrange.training.arguments import REFUSED, training_arguments

COUNT = {  # the arguments that do what transformers says
    *("max_steps", "per_device_train_batch_size", "gradient_accumulation_steps", "max_grad_norm"),
    *("learning_rate", "lr_scheduler_type", "lr_scheduler_kwargs", "warmup_steps", "weight_decay"),
    *("optim", "optim_args", "adam_beta1", "adam_beta2", "adam_epsilon", "neftune_noise_alpha"),
    *("bf16", "fp16", "tf32", "use_cpu", "full_determinism", "torch_empty_cache_steps", "debug"),
    *("activation_checkpointing", "activation_checkpointing_kwargs"),
    *("gradient_checkpointing", "gradient_checkpointing_kwargs"),
    *("torch_compile", "torch_compile_backend", "torch_compile_mode"),
    *("logging_strategy", "logging_steps", "logging_first_step"),
    *("eval_strategy", "eval_steps", "eval_delay", "eval_on_start"),
    *("save_strategy", "save_steps", "save_total_limit"),
    *("load_best_model_at_end", "metric_for_best_model", "greater_is_better"),
    *("dataloader_num_workers", "dataloader_pin_memory", "dataloader_prefetch_factor"),
    "dataloader_multiprocessing_context",
    *("ddp_backend", "ddp_timeout", "ddp_find_unused_parameters", "ddp_bucket_cap_mb", "ddp_broadcast_buffers"),
    "ddp_static_graph",
}
SIX_STEPS = {"max_steps": 6, "logging_steps": 1, "eval_steps": 3, "save_steps": 3}


def losses(folder, made=None, **arguments):
    history = tiny.trained(folder, made, arguments=SIX_STEPS | arguments)
    return [row["loss"] for row in history if row.get("loss") is not None]


def test_each_argument_of_transformers_counts_or_is_refused():
    """A new version of transformers with another argument fails here: read its Trainer, then decide."""
    names = {field.name for field in fields(TrainingArguments) if field.init}
    assert names == COUNT | REFUSED.keys()
    assert not COUNT & REFUSED.keys()


@pytest.mark.parametrize("name", REFUSED)
def test_an_argument_that_would_mean_nothing_is_refused_with_what_counts(name, tmp_path):
    with pytest.raises(UserError) as refusal:
        training_arguments({**tiny.ARGUMENTS, name: None}, tmp_path, 1)
    assert str(refusal.value) == f"finetune.arguments.{name} can't be set\n{REFUSED[name]}"


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"learning_rate": "fast"}, "finetune.arguments.learning_rate is 'fast'"),
        ({"max_steps": 2.5}, "finetune.arguments.max_steps is 2.5"),
        ({"bf16": 1}, "finetune.arguments.bf16 is 1"),
        ({"per_device_train_batch_size": 0}, "finetune.arguments.per_device_train_batch_size is 0"),
        ({"eval_steps": -1}, "finetune.arguments.eval_steps is -1"),
        ({"optim": "adamm"}, "finetune.arguments: adamm is not a valid OptimizerNames"),
        ({"optim": "adamw_8bit"}, "finetune.arguments: You need to install `bitsandbytes`"),
        ({"optim_args": "bogus=1"}, "finetune.arguments: optim_args has 'bogus=1'"),
        ({"adam_beta1": 2.0}, "finetune.arguments: Invalid beta parameter"),
        ({"lr_scheduler_kwargs": {"num_cycle": 2}}, "finetune.arguments: get_cosine_schedule_with_warmup() got an"),
        ({"dataloader_multiprocessing_context": "fork"}, "finetune.arguments: multiprocessing_context can only"),
        ({"torch_compile_backend": "indcutor"}, "finetune.arguments: Invalid backend: 'indcutor'"),
        ({"fp16": True, "use_cpu": True}, "finetune.arguments: fp16 changes nothing on a CPU"),
        ({"save_steps": 20}, "finetune.arguments: save_steps is 20, eval_steps 10, so the best checkpoint"),
    ],
)
def test_what_a_training_could_not_be_made_of_is_told_before_it(arguments, what, tmp_path):
    with pytest.raises(UserError) as refusal:
        training_arguments(tiny.ARGUMENTS | arguments, tmp_path, 1)
    assert str(refusal.value).startswith(what)
    assert str(refusal.value).count("\n") == 1


def test_a_metric_that_validation_does_not_give_is_told(tmp_path):
    with pytest.raises(UserError, match=r"metric_for_best_model is 'qualty'\ngive one of quality"):
        losses(tmp_path, metric_for_best_model="qualty")


@pytest.mark.parametrize(
    "arguments",
    [
        {"gradient_checkpointing": True},
        {"dataloader_num_workers": 2},
        {"torch_compile_backend": "aot_eager"},
        {"eval_on_start": True},
    ],
)
def test_what_changes_the_work_alone_gives_the_same_losses(arguments, tmp_path):
    assert losses(tmp_path / "a", **arguments) == pytest.approx(losses(tmp_path / "b"), abs=1e-5)


@pytest.mark.parametrize(
    "arguments", [{"optim_args": "momentum=0.5", "optim": "sgd"}, {"neftune_noise_alpha": 5.0}, {"bf16": True}]
)
def test_what_changes_the_training_changes_the_losses(arguments, tmp_path):
    plain = {name: value for name, value in arguments.items() if name == "optim"}
    assert losses(tmp_path / "a", **arguments) != pytest.approx(losses(tmp_path / "b", **plain), abs=1e-6)


def test_a_process_that_sees_two_gpus_trains_on_one(tmp_path, monkeypatch):
    one = losses(tmp_path / "one")
    gpus.see_two(monkeypatch)
    assert losses(tmp_path / "two") == one
