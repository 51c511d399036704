"""What a teacher and preferences add to the loss of a packed batch."""

from collections.abc import Callable

from torch import Tensor

from arrange.training import distillation, preferences
from arrange.training import packed_pass as packed
from arrange.training.losses import ListLoss


def taught(
    log_probability_E: Tensor, batch: packed.Batch, loss: ListLoss, reference: Callable[[packed.Batch], Tensor | None]
) -> Tensor:
    """The weighted terms of `arrange.training.terms`, averaged over the queries. reference: its scores of a batch."""
    scores_D = packed.document_log_probabilities(log_probability_E, batch)
    total = scores_D.new_zeros(())
    if loss.teacher.weight:
        total = total + loss.teacher.weight * distillation.term(scores_D, batch, loss.teacher)
    if loss.preference.weight:
        term = preferences.term(scores_D, batch, loss.preference, reference(batch))
        total = total + loss.preference.weight * term
    return total
