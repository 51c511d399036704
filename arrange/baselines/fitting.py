"""The training loop of the baselines: `transformers.Trainer`, made repeatable."""

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
from arrange.training.examples import Order

List = tuple[NDArray[np.int64], NDArray[np.float64]]  # rows of the document table, their weights (sum 1)


@dataclass(frozen=True)
class Recipe:
    """How a baseline is trained: AdamW without weight decay, gradients clipped at norm 1.

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
    recipe: Recipe,
    progress: Callable[[int], object] = lambda step: None,
) -> list[float]:
    """Train a model whose forward returns {"loss": ..}, on `examples` in their order, where the model is.

    `examples` holds steps * batch_size of them (see `order`). The same seed, data, threads and machine give the
    same weights. Returns the loss of each step; leaves the model in evaluation mode.
    Raises UserError when the loss is no number.
    """
    history = _History(progress)
    with deterministic(recipe.threads), tempfile.TemporaryDirectory() as unused:
        arguments = TrainingArguments(
            output_dir=unused,
            max_steps=recipe.steps,
            per_device_train_batch_size=recipe.batch_size,
            learning_rate=recipe.learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=math.ceil(recipe.warmup * recipe.steps),
            max_grad_norm=1.0,
            train_sampling_strategy="sequential",
            remove_unused_columns=False,
            seed=recipe.seed,
            full_determinism=True,
            use_cpu=next(model.parameters()).device.type == "cpu",
            logging_steps=1,
            logging_nan_inf_filter=False,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        trainer = Trainer(model, arguments, collate, train_dataset=list(examples), callbacks=[history])
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    model.eval()
    return history.losses


def order(queries: int, recipe: Recipe) -> list[int]:
    """The rows of the queries in the order in which training sees them, the same as a ranker's."""
    return Order(queries, recipe.steps * recipe.batch_size, recipe.seed).query_N.tolist()


def padded_lists(lists: Sequence[List]) -> tuple[Tensor, Tensor]:
    """Lists as rows_BK (int64) and weights_BK (float32), padded with row 0 of weight 0."""
    rows = [torch.from_numpy(rows_D) for rows_D, _ in lists]
    weights = [torch.from_numpy(weights_D).float() for _, weights_D in lists]
    return pad_sequence(rows, batch_first=True), pad_sequence(weights, batch_first=True)


class _History(TrainerCallback):
    """Keeps the loss of each step, and stops at one that is no number."""

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
