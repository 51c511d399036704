"""What a training step minimises: the cross-entropy of a loss and its terms, on one packed batch.

Everything is a mean over the batch's queries. So a batch in pieces of equal size (gradient accumulation, several
processes) has the mean of the pieces' gradients.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from transformers import PreTrainedModel

from arrange.models.normaliser import Normaliser
from arrange.training import distillation, examples, list_terms, preferences
from arrange.training import packed_pass as packed
from arrange.training.losses import ListLoss, Terms
from arrange.training.prefix import prefix

Pack = Callable[[Sequence[examples.Item]], dict[str, Tensor]]


def packing_for(loss: ListLoss, lists: examples.Examples, normaliser: Normaliser) -> Pack:
    """The function that packs examples of these lists with all that the loss needs, and nothing else."""
    return partial(
        examples.batch,
        examples=lists,
        weights=examples.list_weights(lists, loss),
        gamma=loss.gamma,
        normalised=loss.normalised,
        negatives=loss.compares_documents,
        siblings=loss.terms.prefix.weight > 0,
        normaliser=normaliser,
    )


def objective(
    model: torch.nn.Module,
    batch: packed.Batch,
    loss: ListLoss,
    inner: PreTrainedModel | None = None,
    reference: Callable[[packed.Batch], Tensor | None] = lambda _: None,
) -> Tensor:
    """The loss of a batch that `packing_for` has packed.

    inner: see `packed_pass.log_probabilities`. reference: gives the documents' scores under a frozen model.
    """
    log_p_NC = packed.log_probabilities(model, batch, inner)
    log_p_E = packed.at_edges(log_p_NC, batch)
    total = packed.cross_entropy(log_p_E, batch)
    ranks_D = batch["rank"].nan_to_num(torch.inf)
    if loss.terms.compare_documents:
        scores_D = packed.document_log_probabilities(log_p_E, batch)
        scores_BH = packed.padded(scores_D, batch["document_query"], 0.0)
        total = total + of_documents(scores_BH, packed.padded(ranks_D, batch["document_query"], torch.nan), loss.terms)
    if loss.terms.prefix.weight:
        total = total + loss.terms.prefix.weight * prefix(log_p_NC, batch, ranks_D, loss.terms.prefix)
    if loss.is_taught:
        scores_D = packed.document_log_probabilities(log_p_E, batch)
        total = total + of_others(scores_D, batch, loss, reference)
    return total


def of_others(
    scores_D: Tensor, batch: packed.Batch, loss: ListLoss, reference: Callable[[packed.Batch], Tensor | None]
) -> Tensor:
    """The weighted terms of a teacher and of preferences."""
    total = scores_D.new_zeros(())
    if loss.teacher.weight:
        total = total + loss.teacher.weight * distillation.term(scores_D, batch, loss.teacher)
    if loss.preference.weight:
        term = preferences.term(scores_D, batch, loss.preference, reference(batch))
        total = total + loss.preference.weight * term
    return total


def of_documents(scores_BH: Tensor, ranks_BH: Tensor, terms: Terms) -> Tensor:
    """The weighted sum of the terms of `list_terms`."""
    weighted = (
        (terms.plackett_luce, list_terms.plackett_luce),
        (terms.list_mle, list_terms.list_mle),
        (terms.hinge, partial(list_terms.hinge, margin=terms.margin)),
        (terms.lambda_loss, list_terms.lambda_loss),
        (terms.approx_ndcg, partial(list_terms.approx_ndcg, temperature=terms.temperature)),
        (terms.neural_ndcg, partial(list_terms.neural_ndcg, temperature=terms.temperature)),
    )
    return sum((weight * term(scores_BH, ranks_BH) for weight, term in weighted if weight), scores_BH.new_zeros(()))
