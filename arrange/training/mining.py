"""Self-mined negatives: what the model itself ranks high joins the lists, without a rank, until the next search.

Every `every` steps it searches for the queries of the steps to come, with the weights as they are then. A judged
document keeps its rank; all others come after the ranked ones, for every term that compares documents (LTRGR, Li et
al. 2023, arXiv 2306.15222, learns from its own ranked lists in this way).

What was found is stored nowhere: it follows from the weights at a step that is a multiple of `every`. So checkpoints
are saved at such steps only, and a training that continues at one searches again with the same weights.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel, TrainingArguments
from transformers.trainer_utils import SaveStrategy

from arrange.errors import UserError
from arrange.training.examples import Examples, Item, Order, with_unranked
from arrange.training.terms import Mined

# (model, rows of queries) -> rows of documents for each of these, best first
Mine = Callable[[PreTrainedModel, Sequence[int]], Sequence[NDArray[np.int64]]]
Pack = Callable[[Sequence[Item]], dict[str, torch.Tensor]]


@dataclass
class MinedLists:
    """The lists of a training, with what was mined last.

    packing: makes what packs examples of some lists. order: of the queries. per_step: queries of a step. step: that of
    the last search.
    """

    lists: Examples
    mined: Mined
    mine: Mine
    packing: Callable[[Examples], Pack]
    order: Order
    per_step: int
    step: int | None = None
    pack: Pack = field(init=False)

    def at(self, step: int, model: PreTrainedModel) -> Pack:
        """What packs the lists of the step that comes after `step` steps: searched for if a search is due."""
        due = step - step % self.mined.every
        if self.step != due:
            assert step == due, f"a training continues at step {step}, which is no multiple of {self.mined.every}"
            places = slice(due * self.per_step, (due + self.mined.every) * self.per_step)
            queries: list[int] = np.unique(self.order.query_N[places]).tolist()
            model.eval()
            found = dict(zip(queries, self.mine(model, queries), strict=True))
            model.train()
            self.step, self.pack = due, self.packing(with_unranked(self.lists, found))
        return self.pack


def items_alone(items: Sequence[Item]) -> dict[str, torch.Tensor]:
    """A batch that is packed later, when its step comes: only then it is known what was mined."""
    return {"query": torch.tensor([query for query, _ in items]), "place": torch.tensor([place for _, place in items])}


def items_of(batch: Mapping[str, torch.Tensor]) -> list[Item]:
    """The items of `items_alone`."""
    return list(zip(batch["query"].tolist(), batch["place"].tolist(), strict=True))


def check_steps(checked: TrainingArguments, mined: Mined, where: str) -> None:
    """Raise UserError where a checkpoint could be saved at a step without a search."""
    if not mined.documents or checked.save_strategy in (SaveStrategy.NO, SaveStrategy.EPOCH):  # one epoch: the end
        return
    name = "save_steps" if checked.save_strategy == SaveStrategy.STEPS else "eval_steps"
    steps = getattr(checked, name)
    if not float(steps).is_integer() or steps % mined.every:
        what = f"{where}: {name} is {steps}, no multiple of the loss's mined.every, {mined.every}"
        raise UserError(f"{what}, so a killed training could not continue with the same lists", "make it one")
