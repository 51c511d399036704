"""Finetuning: `transformers.Trainer` on packed batches, deterministic, and resumable at its last checkpoint."""

import copy
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback, TrainerControl, TrainerState

from arrange.errors import UserError
from arrange.models import ranker as model
from arrange.models.determinism import deterministic
from arrange.models.normaliser import Normaliser
from arrange.training import examples, mining
from arrange.training import packed_pass as packed
from arrange.training.arguments import training_arguments
from arrange.training.checkpoints import last_whole, mark_whole
from arrange.training.history import history_of
from arrange.training.losses import ListLoss
from arrange.training.mixing import Mix
from arrange.training.objective import objective, packing_for
from arrange.training.saving import save

Validate = Callable[[PreTrainedModel], Mapping[str, float]]


def train(
    ranker: torch.nn.Module,
    lists: examples.Examples,
    loss: ListLoss,
    out_folder: Path | None,
    checkpoints: Path,
    *,
    arguments: Mapping[str, Any],
    seed: int,
    threads: int,
    normaliser: Normaliser = "vocabulary",
    temperature: float = 1.0,
    validate: Validate | None = None,
    finish: Callable[[PreTrainedModel], object] = lambda ranker: None,
    mine: mining.Mine | None = None,
    mix: Mix | None = None,
    progress: Callable[[int], object] = lambda step: None,
) -> list[dict[str, float]]:
    """Train a ranker on the lists of all queries and save it in `out_folder`, which appears when all is done.

    Without an `out_folder` nothing is saved.

    One example is one query with its whole list, in one packed pass. Queries come in epochs. `mix` says which of
    `lists` are augmented examples, the last ones, and when they come. With `max_steps` 0 the ranker is validated once
    and saved as it is.
    `arguments` are those of `transformers.TrainingArguments` that count here; `arguments.REFUSED` has the others. With
    `eval_strategy: steps`, `validate(ranker)` gives metrics, which are logged, and `metric_for_best_model` chooses the
    checkpoint to keep by one of them.
    `finish` is called with the trained ranker, the checkpoint that is kept, before it is saved.
    temperature: of the normaliser `children`; it is saved with the ranker.
    `mine` finds the documents that join the lists of a loss with `mined`: see `arrange.training.mining`.
    With `save_strategy: steps` checkpoints go to `checkpoints`. A training that finds some there continues at the
    last whole one. It ends with the same weights as one that was never stopped, bit by bit on one machine's CPU.

    Returns one dict per logged step: `step`, `loss` (mean since the one before), `learning_rate`, `grad_norm`, and
    the metrics of `validate`. Raises UserError for arguments that are refused, and when the loss or a weight is not
    finite, naming the step; checkpoints stay.
    """
    model.without_adapters(ranker).config.children_temperature = temperature
    if not arguments["max_steps"]:
        return _untrained(ranker, lists, out_folder, validate)
    _check_parts(lists, loss, mine)
    with deterministic(threads):
        checked = training_arguments(arguments, checkpoints, seed)
        mining.check_steps(checked, loss.mined, "finetune.arguments")
        count = checked.max_steps * checked.train_batch_size * checked.world_size * checked.gradient_accumulation_steps
        order = examples.Order(len(lists.prompts) - (len(mix.weight_A) if mix else 0), count, seed, mix)
        packing = partial(packing_for, loss, normaliser=normaliser)
        reference = _frozen(ranker, checked) if loss.needs_reference else None
        trainer = _Trainer(
            ranker,
            checked,
            mining.items_alone if loss.mined.documents else packing(lists),
            train_dataset=order,
            eval_dataset=[],
            callbacks=[_Progress(progress)],
        )
        trainer.list_loss, trainer.validate, trainer.reference = loss, validate, reference
        if mine is not None and loss.mined.documents:
            trainer.mined = mining.MinedLists(lists, loss.mined, mine, packing, order, count // checked.max_steps)
        trainer.remove_callback(PrinterCallback)
        with trainer.accelerator.main_process_first():  # which removes what isn't whole
            start = last_whole(checkpoints)
        trainer.train(resume_from_checkpoint=str(start) if start else None)
        trainer.check_weights()
        if out_folder is not None and trainer.is_world_process_zero():
            assert trainer.model is not None
            finish(trainer._inner(trainer.model).eval())
            # without the wrapper that rounds products to bfloat16: the saved model is compared as it will rank
            save(trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False), lists, out_folder)
    return history_of(trainer.state.log_history)


def _untrained(
    ranker: torch.nn.Module, lists: examples.Examples, out_folder: Path | None, validate: Validate | None
) -> list[dict[str, float]]:
    """Save a ranker as it is. Its history has one row, of its validation."""
    inner = model.without_adapters(ranker)
    metrics = {f"validation_{name}": value for name, value in (validate(inner.eval()) if validate else {}).items()}
    if out_folder is not None:
        save(ranker, lists, out_folder)
    return [{"step": 0, **metrics}]


def _check_parts(lists: examples.Examples, loss: ListLoss, mine: mining.Mine | None) -> None:
    """Raise UserError where the loss has a part for which the lists have nothing."""
    if loss.teacher.weight and lists.teacher is None:
        raise UserError("the loss has a teacher's term, the lists have no teacher", "join one: teachers.with_teacher")
    if loss.mined.documents and (mine is None or lists.candidate is not None):
        raise UserError("the loss learns from mined documents, in the regime corpus alone", "leave `mined` out")


def _frozen(ranker: torch.nn.Module, arguments: TrainingArguments) -> torch.nn.Module:
    """A copy of a ranker that is not trained: the reference is what training starts from, in a resumed one too."""
    return copy.deepcopy(ranker).requires_grad_(False).eval().to(arguments.device)


class _Trainer(Trainer):
    """The Trainer with the packed loss, validation by ranking, and checkpoints that are marked when whole.

    reference, mined: of losses with these parts.
    """

    list_loss: ListLoss
    validate: Validate | None
    reference: torch.nn.Module | None
    mined: mining.MinedLists | None = None

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], Any]:
        """The batches of the next step; those with mined documents are packed here, as the weights are now."""
        batches, count = super().get_batch_samples(epoch_iterator, num_batches, device)
        if self.mined is not None and batches:
            assert self.model is not None
            pack = self.mined.at(self.state.global_step, self._inner(self.model))
            batches = [pack(mining.items_of(items)) for items in batches]
        return batches, count

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        loss = objective(model, inputs, self.list_loss, self._inner(model), self._reference_scores)
        if not torch.isfinite(loss):
            queries = ", ".join(map(str, inputs["query"].tolist()))
            raise UserError(
                f"training: the loss is {loss.item()} at step {self.state.global_step + 1}, queries (rows) {queries}",
                "give a lower learning rate or a longer warm-up; the last checkpoint stays",
            )
        return (loss, {}) if return_outputs else loss

    @torch.no_grad()
    def _reference_scores(self, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor | None:
        """log P(docID | prompt) under the reference, of the same batch: its prompts, and what was mined last."""
        if self.reference is None:
            return None
        with self.accelerator.autocast():
            log_probability_E = packed.edge_log_probabilities(self.reference, inputs, self._inner(self.reference))
        return packed.document_log_probabilities(log_probability_E, inputs)

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Validate by ranking, in place of a loss on an evaluation set."""
        assert self.model is not None
        inner = self._inner(self.model)
        assert self.validate is not None, "eval_strategy needs `validate`"
        self.check_weights()
        inner.eval()
        metrics = {f"eval_{name}": value for name, value in self.validate(inner).items()}
        inner.train()
        best = self.args.metric_for_best_model
        if best is not None and f"eval_{best.removeprefix('eval_')}" not in metrics:
            valid = ", ".join(name.removeprefix("eval_") for name in metrics)
            raise UserError(f"finetune.arguments.metric_for_best_model is {best!r}", f"give one of {valid}")
        self.log(dict(metrics))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def check_weights(self) -> None:
        """Raise UserError, naming the step, where a weight is no number: such a model ranks nothing."""
        assert self.model is not None
        if name := model.no_number(self.model):
            what = f"training: after step {self.state.global_step} the weights {name} are not all numbers"
            raise UserError(what, "give a lower learning rate or a longer warm-up; the last checkpoint stays")

    def _inner(self, wrapped: torch.nn.Module) -> PreTrainedModel:
        """The language model itself, without what accelerate, torch.compile or peft have put around it."""
        unwrapped = self.accelerator.unwrap_model(wrapped, keep_torch_compile=False)
        return model.without_adapters(unwrapped)

    def _save_checkpoint(self, *args: Any) -> None:
        super()._save_checkpoint(*args)
        self.accelerator.wait_for_everyone()  # each process writes its random numbers
        if self.is_world_process_zero():
            mark_whole(Path(str(self.args.output_dir), f"checkpoint-{self.state.global_step}"))


class _Progress(TrainerCallback):
    """Reports each step that is done, and logs the last step though it may be no multiple of logging_steps."""

    def __init__(self, progress: Callable[[int], object]) -> None:
        self.progress = progress

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
        control.should_log |= state.global_step == state.max_steps
        self.progress(state.global_step)
