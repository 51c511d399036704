"""Finetuning: `transformers.Trainer` on packed batches, repeatable, and resumable at its last checkpoint."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import PreTrainedModel, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback, TrainerControl, TrainerState

from arrange.errors import UserError
from arrange.files import replacing
from arrange.models import ranker as model
from arrange.models.determinism import deterministic
from arrange.training import examples, pairwise
from arrange.training import packed_pass as packed
from arrange.training.checkpoints import last_whole, mark_whole
from arrange.training.losses import Weights

Validate = Callable[[PreTrainedModel], Mapping[str, float]]
LOGGED = ("loss", "learning_rate", "grad_norm")


class Objective(NamedTuple):
    """A loss: the weights of each query's documents, and how the pass uses them (`arrange.training.losses`).

    gamma: exponent of the node weights. normalised: whether every query counts the same.
    plackett_luce, hinge: weights of the pairwise terms, 0 leaves them out; margin: the hinge's, in nats.
    """

    weights: Sequence[Weights]
    gamma: float = 1.0
    normalised: bool = True
    plackett_luce: float = 0.0
    hinge: float = 0.0
    margin: float = 0.0

    @property
    def pairwise(self) -> bool:
        return self.plackett_luce > 0 or self.hinge > 0


def train(
    ranker: torch.nn.Module,
    lists: examples.Examples,
    objective: Objective,
    out_folder: Path,
    checkpoints: Path,
    *,
    arguments: Mapping[str, Any],
    seed: int,
    threads: int,
    validate: Validate | None = None,
    progress: Callable[[int], object] = lambda step: None,
) -> list[dict[str, float]]:
    """Train a ranker on the lists of all queries and save it in `out_folder`, which appears when all is done.

    One example is one query with its whole list, in one packed pass; queries come in epochs.
    `arguments` go to `transformers.TrainingArguments` as they are. With `eval_strategy: steps`, `validate(ranker)`
    gives the metrics that are logged, and by which `metric_for_best_model` chooses the checkpoint to keep.
    With `save_strategy: steps` checkpoints go to `checkpoints`; a training that finds some there continues at the
    last whole one and ends with the weights of one that was never stopped, bit by bit on one machine's CPU.

    Returns one dict per logged step: `step`, `loss` (mean since the one before), `learning_rate`, `grad_norm`, and
    the metrics of `validate`. Raises UserError for arguments that transformers refuses, and when the loss is no
    number, naming the step and the queries; checkpoints stay.
    """
    with deterministic(threads):
        wanted = _arguments(arguments, checkpoints, seed)
        count = wanted.max_steps * wanted.train_batch_size * wanted.world_size * wanted.gradient_accumulation_steps
        trainer = _Trainer(
            ranker,
            wanted,
            partial(
                examples.batch,
                examples=lists,
                weights=objective.weights,
                gamma=objective.gamma,
                normalised=objective.normalised,
                negatives=objective.pairwise,
            ),
            train_dataset=examples.Order(len(lists.prompts), count, seed),
            eval_dataset=[],
            callbacks=[_Progress(progress)],
        )
        trainer.objective, trainer.validate = objective, validate
        trainer.remove_callback(PrinterCallback)
        start = last_whole(checkpoints)
        trainer.train(resume_from_checkpoint=str(start) if start else None)
        if trainer.is_world_process_zero():
            with replacing(out_folder) as part:
                model.save(trainer.accelerator.unwrap_model(trainer.model), part)
    return _history(trainer.state.log_history)


def _arguments(arguments: Mapping[str, Any], checkpoints: Path, seed: int) -> TrainingArguments:
    """The user's arguments, over what makes a training of ours repeatable and quiet."""
    known = {field.name for field in dataclasses.fields(TrainingArguments) if field.init}
    if unknown := sorted(arguments.keys() - known):
        raise UserError(f"finetune.arguments: transformers has no {unknown[0]!r}", "see its TrainingArguments")
    ours: dict[str, Any] = {
        "full_determinism": True,
        "logging_nan_inf_filter": False,
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": not torch.cuda.is_available(),
    }
    fixed: dict[str, Any] = {
        "output_dir": str(checkpoints),
        "seed": seed,
        "train_sampling_strategy": "sequential",  # the order was drawn with the examples
        "remove_unused_columns": False,
    }
    try:
        wanted = TrainingArguments(**ours | dict(arguments) | fixed)
    except (ValueError, TypeError, ImportError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"finetune.arguments: {reason}", "see transformers' TrainingArguments") from None
    if wanted.max_steps < 1:
        raise UserError("finetune.arguments: max_steps is missing", "say how many steps to train")
    return wanted


class _Trainer(Trainer):
    """The Trainer with the packed loss, the validation by ranking, and checkpoints that say when they are whole."""

    objective: Objective
    validate: Validate | None

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        inner = self._inner(model)
        log_probability_E = packed.edge_log_probabilities(model, inputs, inner)
        loss = packed.cross_entropy(log_probability_E, inputs)
        if self.objective.pairwise:
            loss = loss + _pairwise(log_probability_E, inputs, self.objective)
        if not torch.isfinite(loss):
            queries = ", ".join(map(str, inputs["query"].tolist()))
            raise UserError(
                f"training: the loss is {loss.item()} at step {self.state.global_step + 1}, queries (rows) {queries}",
                "give a lower learning rate or a longer warm-up; the last checkpoint stays",
            )
        return (loss, {}) if return_outputs else loss

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Validate by ranking."""
        assert self.model is not None
        inner = self._inner(self.model)
        assert self.validate is not None, "eval_strategy asks for a validation"
        inner.eval()
        metrics = {f"eval_{name}": value for name, value in self.validate(inner).items()}
        inner.train()
        self.log(dict(metrics))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _inner(self, wrapped: torch.nn.Module) -> PreTrainedModel:
        """The language model itself, without what accelerate or peft have put around it."""
        unwrapped = self.accelerator.unwrap_model(wrapped)
        return unwrapped.get_base_model() if hasattr(unwrapped, "get_base_model") else unwrapped

    def _save_checkpoint(self, *args: Any) -> None:
        super()._save_checkpoint(*args)
        if self.is_world_process_zero():
            mark_whole(Path(str(self.args.output_dir), f"checkpoint-{self.state.global_step}"))


def _pairwise(
    log_probability_E: torch.Tensor, inputs: Mapping[str, torch.Tensor], objective: Objective
) -> torch.Tensor:
    """The weighted pairwise terms of a batch."""
    scores_D = packed.document_log_probabilities(log_probability_E, inputs)
    scores_BH = packed.padded(scores_D, inputs["document_query"], 0.0)
    ranks_D = inputs["rank"].nan_to_num(torch.inf)
    ranks_BH = packed.padded(ranks_D, inputs["document_query"], torch.nan)
    total = scores_BH.new_zeros(())
    if objective.plackett_luce:
        total = total + objective.plackett_luce * pairwise.plackett_luce(scores_BH, ranks_BH)
    if objective.hinge:
        total = total + objective.hinge * pairwise.hinge(scores_BH, ranks_BH, objective.margin)
    return total


class _Progress(TrainerCallback):
    """Tells which step is done, and logs the steps after the last multiple of logging_steps."""

    def __init__(self, progress: Callable[[int], object]) -> None:
        self.progress = progress

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
        control.should_log |= state.global_step == state.max_steps
        self.progress(state.global_step)


def _history(log: Sequence[Mapping[str, float]]) -> list[dict[str, float]]:
    """What the Trainer logged, without its timings, one row per step; `eval_` becomes `validation_`."""
    rows: dict[int, dict[str, float]] = {}
    for entry in log:
        # sorted: a log that was saved and read again has its keys in another order
        kept = {name: entry[name] for name in LOGGED if name in entry}
        kept |= {f"validation_{name[5:]}": entry[name] for name in sorted(entry) if name.startswith("eval_")}
        if kept:
            rows.setdefault(int(entry["step"]), {"step": int(entry["step"])}).update(kept)
    return list(rows.values())
