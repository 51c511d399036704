"""Finetuning: `transformers.Trainer` with the loss of `arrange.ranking.losses`, made repeatable."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from datasets import Dataset
from transformers import PreTrainedModel, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback, TrainerControl, TrainerState

from arrange.errors import UserError
from arrange.files import replacing
from arrange.ranking.model import docid_log_probabilities, save

Progress = Callable[[int, dict[str, float]], None]
Collate = Callable[[list[dict[str, Any]]], dict[str, torch.Tensor]]


def train(
    model: PreTrainedModel,
    dataset: Dataset,
    collate: Collate,
    out_folder: Path,
    *,
    steps: int,
    batch_size: int,
    learning_rate: float,
    warmup: float,
    weight_decay: float,
    seed: int,
    threads: int,
    log_every: int,
    validation: Dataset | None = None,
    evaluate_every: int = 0,
    progress: Progress = lambda step, metrics: None,
) -> list[dict[str, float]]:
    """Train a model on a table of `examples.training_examples`, row after row, and save it.

    The loss is -log P(docID | prompt), summed over the docID's tokens and averaged over the batch. It is
    not the mean over tokens: the ranking losses are defined on P(docID | prompt), by which documents are
    ranked, and a mean would make long docIDs count less.

    AdamW, gradients clipped at norm 1, learning rate rising linearly over the first `warmup` (a share of
    the steps) and falling to 0 along a cosine. The model is trained where it is (CPU or GPU). The same
    seed, data, threads and machine give the same weights, bit by bit. `out_folder` appears when all is done.

    Returns one dict per `log_every` steps and at the last: `step`, `loss` (mean since the one before),
    `learning_rate`, `grad_norm`; and every `evaluate_every` steps and at the last, where `validation` is
    given, `validation_loss`. `progress(step, metrics)` is called with each part as it comes.
    Raises UserError when the loss is no number.
    """
    history = _History(progress)
    with _repeatable(threads), replacing(out_folder) as part:
        arguments = TrainingArguments(
            output_dir=str(part),
            max_steps=steps,
            per_device_train_batch_size=batch_size,
            per_device_eval_batch_size=batch_size,
            learning_rate=learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=math.ceil(warmup * steps),
            weight_decay=weight_decay,
            max_grad_norm=1.0,
            train_sampling_strategy="sequential",  # the order was drawn with the examples
            seed=seed,
            full_determinism=True,
            use_cpu=model.device.type == "cpu",
            logging_steps=log_every,
            logging_nan_inf_filter=False,
            eval_strategy="steps" if validation is not None else "no",
            eval_steps=evaluate_every or None,
            prediction_loss_only=True,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cache=True,  # does not touch training; saved with the configuration, for decoding
        )
        trainer = _Trainer(
            model, arguments, collate, train_dataset=dataset, eval_dataset=validation, callbacks=[history]
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        save(model, part)
    return list(history.rows.values())


class _Trainer(Trainer):
    """The Trainer with the summed docID log-probability as its loss."""

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor | tuple[torch.Tensor, dict[str, torch.Tensor]]:
        loss = -docid_log_probabilities(cast(PreTrainedModel, model), inputs).mean()
        if not torch.isfinite(loss):
            raise UserError(
                f"training: the loss is {loss.item()} at step {self.state.global_step + 1}",
                "give a lower learning rate or a longer warm-up",
            )
        return (loss, {}) if return_outputs else loss


class _History(TrainerCallback):
    """Keeps what the Trainer logs, without its timings, one row per step."""

    names = ("loss", "learning_rate", "grad_norm", "eval_loss")

    def __init__(self, progress: Progress) -> None:
        self.rows: dict[int, dict[str, float]] = {}
        self.progress = progress

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
        if state.global_step == state.max_steps:
            control.should_log = True  # the steps after the last multiple of log_every

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, float] | None = None,
        **_: object,
    ) -> None:
        logs = logs or {}
        metrics = {name.replace("eval_", "validation_"): logs[name] for name in self.names if name in logs}
        if metrics:
            step = state.global_step
            self.rows.setdefault(step, {"step": step}).update(metrics)
            self.progress(step, metrics)


@contextmanager
def _repeatable(threads: int) -> Iterator[None]:
    """Pin the threads; afterwards set back what `full_determinism` and this have set."""
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])
