"""`transformers.TrainingArguments` from a user's: what counts is taken, what would mean nothing is refused."""

import copy
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints

import torch
from torch.utils.data import DataLoader
from transformers import Trainer, TrainingArguments, get_scheduler
from transformers.trainer_utils import SaveStrategy

from arrange.errors import UserError
from arrange.models import options

# Why -> the arguments that would overwrite what we set, that our Trainer never reads, or that can't work with it.
_REASONS = {
    "rankers.<name>.seed is the seed of all that is drawn": "seed data_seed",
    "queries come in epochs, each a permutation by rankers.<name>.seed": (
        "train_sampling_strategy length_column_name dataloader_drop_last dataloader_in_order accelerator_config"
    ),
    "max_steps says how long a training is, as one pass over its batches": (
        "num_train_epochs dataloader_persistent_workers"
    ),
    "per_device_train_batch_size is the batch, whatever the memory of the machine": "auto_find_batch_size",
    "the stage decides where checkpoints lie, and continues at the last one by itself": (
        "output_dir resume_from_checkpoint ignore_data_skip restore_callback_states_from_checkpoint save_only_model "
        "save_on_each_node enable_jit_checkpoint"
    ),
    "a loss of section `losses` is trained on whole lists, which have no labels": (
        "label_smoothing_factor label_names remove_unused_columns average_tokens_across_devices"
    ),
    "a loss that is no number ends the training": "logging_nan_inf_filter",
    "the packed pass keeps no cache": "use_cache",
    "section rank says how validation ranks; rank.batch_size is its batch": (
        "per_device_eval_batch_size prediction_loss_only eval_do_concat_batches eval_use_gather_object "
        "eval_accumulation_steps include_for_metrics batch_eval_metrics bf16_full_eval fp16_full_eval"
    ),
    "the stage trains and validates; nothing reads this": "do_train do_eval do_predict local_rank",
    "the stage says how far it is, and transformers stays quiet": (
        "disable_tqdm log_level log_level_replica log_on_each_node"
    ),
    "the history keeps the loss, its gradient's norm, the learning rate and validation": (
        "include_num_input_tokens_seen skip_memory_metrics"
    ),
    "the flow records every run in MLflow (make ui)": (
        "report_to run_name project trackio_space_id trackio_bucket_id trackio_static_space_id"
    ),
    "nothing is published; exports/ has a folder to upload": (
        "push_to_hub hub_model_id hub_strategy hub_token hub_private_repo hub_always_push hub_revision"
    ),
    "every process holds the whole model; docs/scaling.md says how to use several GPUs": (
        "fsdp fsdp_config deepspeed parallelism_config"
    ),
    "its packages are not among those of requirements.lock": (
        "use_liger_kernel liger_kernel_config optim_target_modules"
    ),
}
COUNTS = (
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "logging_steps",
    "eval_steps",
    "save_steps",
)
MACHINE = ("bf16", "fp16", "tf32", "use_cpu")  # arguments that another machine may refuse
REFUSED = {name: reason for reason, names in _REASONS.items() for name in names.split()}


def check_arguments(arguments: Mapping[str, Any], where: str) -> None:
    """Raise UserError for an argument that transformers has not, that means nothing here, or that has a wrong type."""
    types = get_type_hints(TrainingArguments)
    fields = {field.name: types[field.name] for field in dataclasses.fields(TrainingArguments) if field.init}
    options.check(arguments, where, "transformers.TrainingArguments", fields, REFUSED)
    for name in COUNTS:
        if arguments.get(name) is not None and arguments[name] <= 0:
            raise UserError(f"{where}.{name} is {arguments[name]}", "give a number above 0")
    if (arguments.get("max_steps") or 0) < 0:  # without steps there is no training: the model is ranked as it is
        raise UserError(f"{where}.max_steps is {arguments['max_steps']}", "give a number, 0 or more")


def training_arguments(
    arguments: Mapping[str, Any], checkpoints: Path, seed: int, where: str = "finetune.arguments"
) -> TrainingArguments:
    """The user's arguments over our defaults, which make a training deterministic and quiet.

    Raises UserError, which names the section `where`, for what `check_arguments`, transformers or torch refuse.
    """
    check_arguments(arguments, where)
    defaults: dict[str, Any] = {
        "full_determinism": True,
        "use_cpu": not torch.cuda.is_available(),
        # A step may have several forward passes, in each process another number; the buffers are constants.
        "ddp_broadcast_buffers": False,
    }
    fixed: dict[str, Any] = {
        "output_dir": str(checkpoints),
        "seed": seed,
        "train_sampling_strategy": "sequential",  # the order was drawn with the examples
        "remove_unused_columns": False,
        "logging_nan_inf_filter": False,
        "report_to": "none",
        "disable_tqdm": True,
    }
    try:
        checked = on_one_gpu(TrainingArguments(**defaults | dict(arguments) | fixed))
        if checked.max_steps < 1:
            raise UserError(f"{where}: max_steps is missing", "give the number of steps to train")
        _try_parts(checked)
        if checked.fp16 and checked.device.type == "cpu":
            raise ValueError("fp16 changes nothing on a CPU; bf16 does")
    except (ValueError, TypeError, ImportError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{where}: {reason}", "see transformers' TrainingArguments") from None
    best, saved = checked.load_best_model_at_end, checked.save_strategy == SaveStrategy.STEPS
    if best and saved and checked.save_steps != checked.eval_steps:
        what = f"{where}: save_steps is {checked.save_steps}, eval_steps {checked.eval_steps}"
        raise UserError(f"{what}, so the best checkpoint may be none that is saved", "make them equal")
    return checked


def on_one_gpu(arguments: TrainingArguments) -> TrainingArguments:
    """The arguments, of which transformers makes no `DataParallel` where a process sees several GPUs.

    That would split a packed batch, whose tensors have rows of different kinds. `accelerate launch` uses all GPUs.
    """
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def _with(arguments: TrainingArguments, **changes: Any) -> TrainingArguments:
    """A copy with changes that transformers need not check."""
    changed = copy.copy(arguments)
    vars(changed).update(changes)
    return changed


def _try_parts(checked: TrainingArguments) -> None:
    """Make what a training makes of some arguments, so that these raise what they would after the first work."""
    kind, made_with = Trainer.get_optimizer_cls_and_kwargs(checked)
    without = Trainer.get_optimizer_cls_and_kwargs(_with(checked, optim_args=None))[1]
    for word in filter(None, (checked.optim_args or "").split(",")):
        if Trainer.get_optimizer_cls_and_kwargs(_with(checked, optim_args=word))[1] == without:
            raise ValueError(f"optim_args has {word!r}, which the optimizer {checked.optim} does not take")
    optimizer = kind([torch.nn.Parameter(torch.zeros(1))], **made_with)
    get_scheduler(
        checked.lr_scheduler_type,
        optimizer,
        checked.get_warmup_steps(checked.max_steps),
        checked.max_steps,
        checked.lr_scheduler_kwargs,  # type: ignore[arg-type]  # a text was read as JSON
    )
    DataLoader(
        [0],  # type: ignore[arg-type]  # it isn't read
        num_workers=checked.dataloader_num_workers,
        multiprocessing_context=getattr(checked, "dataloader_multiprocessing_context", None),  # older ones lack it
        prefetch_factor=checked.dataloader_prefetch_factor,
    )
    if checked.torch_compile:
        torch.compile(torch.nn.Identity(), backend=checked.torch_compile_backend or "", mode=checked.torch_compile_mode)
