"""The training loop of the baselines: `transformers.Trainer`, made deterministic."""

import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback, TrainerControl, TrainerState

from arrange.errors import UserError
from arrange.models.determinism import deterministic
from arrange.training.arguments import on_one_gpu
from arrange.training.examples import Order

List = tuple[NDArray[np.int64], NDArray[np.float64]]  # rows of the document table, their weights (sum 1)


@dataclass(frozen=True)
class FitArguments:
    """How a baseline is trained: by AdamW without weight decay, gradients clipped at norm 1.

    The learning rate rises linearly over the first `warmup` (a share of the steps), then falls to 0 along a cosine.
    """

    steps: int
    batch_size: int
    learning_rate: float
    warmup: float
    seed: int
    threads: int


def fit(
    model: nn.Module,
    examples: Sequence[Any],
    collate: Callable[[list[Any]], dict[str, Tensor]],
    arguments: FitArguments,
    progress: Callable[[int], object] = lambda step: None,
) -> list[float]:
    """Train a model whose forward returns {"loss": ...}, on `examples` in their order, on the model's device.

    There are steps * batch_size `examples` (see `order`). The same seed, data, threads and machine give the same
    weights. Returns the loss of each step; leaves the model in evaluation mode.
    Raises UserError when the loss is not finite.
    """
    history = _History(progress)
    with deterministic(arguments.threads), tempfile.TemporaryDirectory() as unused:
        checked = TrainingArguments(
            output_dir=unused,
            max_steps=arguments.steps,
            per_device_train_batch_size=arguments.batch_size,
            learning_rate=arguments.learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=math.ceil(arguments.warmup * arguments.steps),
            max_grad_norm=1.0,
            train_sampling_strategy="sequential",
            remove_unused_columns=False,
            seed=arguments.seed,
            full_determinism=True,
            use_cpu=next(model.parameters()).device.type == "cpu",
            logging_steps=1,
            logging_nan_inf_filter=False,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        trainer = Trainer(model, on_one_gpu(checked), collate, train_dataset=list(examples), callbacks=[history])
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    model.eval()
    return history.losses


def order(queries: int, arguments: FitArguments) -> list[int]:
    """The rows of the queries in the order in which training sees them; a ranker's training has the same order."""
    return Order(queries, arguments.steps * arguments.batch_size, arguments.seed).query_N.tolist()


def padded_lists(lists: Sequence[List]) -> tuple[Tensor, Tensor]:
    """Lists as rows_BK (int64) and weights_BK (float32), padded with row 0 of weight 0."""
    rows = [torch.from_numpy(rows_D) for rows_D, _ in lists]
    weights = [torch.from_numpy(weights_D).float() for _, weights_D in lists]
    return pad_sequence(rows, batch_first=True), pad_sequence(weights, batch_first=True)


class _History(TrainerCallback):
    """Keeps the loss of each step, and stops the training at a loss that is not finite."""

    def __init__(self, progress: Callable[[int], object]) -> None:
        self.losses: list[float] = []
        self.progress = progress

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: object,
    ) -> None:
        if logs and "loss" in logs:
            self.losses.append(logs["loss"])
            self.progress(state.global_step)
            if not math.isfinite(logs["loss"]):
                raise UserError(
                    f"training: the loss is {logs['loss']} at step {state.global_step}",
                    "give a lower learning rate or a longer warm-up",
                )
