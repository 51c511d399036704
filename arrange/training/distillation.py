"""Terms that teach the order and the gaps of a teacher: BM25, an encoder, a cross encoder, another ranker.

They need no ranks, only the teacher's scores, so they also teach the order of documents that nobody judged. A document
without a teacher's score takes no part, and a query with fewer than two scored documents adds 0. All are averaged
over the queries of the batch.

B queries, H documents of the longest list; scores_BH: s = log P(d | q), in nats; teacher_BH: the teacher's scores t,
nan where there is none and for padding. A temperature says how many of the teacher's units are one nat.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from arrange.training.packed_pass import padded
from arrange.training.terms import Teacher


def term(scores_D: Tensor, batch: Mapping[str, Tensor], teacher: Teacher) -> Tensor:
    """The term that the settings name, without its weight. scores_D: of the documents of a packed batch."""
    scores_BH = padded(scores_D, batch["document_query"], 0.0)
    teacher_BH = padded(batch["teacher"], batch["document_query"], torch.nan)
    if teacher.term == "ranknet":
        return ranknet(scores_BH, teacher_BH)
    return (kl if teacher.term == "kl" else margin_mse)(scores_BH, teacher_BH, teacher.temperature)


def kl(scores_BH: Tensor, teacher_BH: Tensor, temperature: float) -> Tensor:
    """KL(softmax of t / temperature || softmax of s), both over the scored documents.

    Distillation of a ranking's top-one probabilities (Hinton et al. 2015, Cao et al. 2007; RankDistil). It is 0 where s
    equals t / temperature up to a constant. ListNet has this form too, with weights by rank in the teacher's place.
    """
    scored_BH = _scored(teacher_BH)
    target_BH = _log_softmax(teacher_BH / temperature, scored_BH)
    return (target_BH.exp() * (target_BH - _log_softmax(scores_BH, scored_BH))).sum() / len(scores_BH)


def ranknet(scores_BH: Tensor, teacher_BH: Tensor) -> Tensor:
    """The weighted mean over pairs with t_i > t_j of log(1 + exp(s_j - s_i)), weights 1 / (i + j).

    i and j are the places among the scored documents by the teacher, 1 the best; equal scores share a place and are
    no pair. RankNet (Burges et al. 2005) with the weights of FIRST (arXiv 2406.15657), which sums the pairs; the mean
    lets long and short lists count alike.
    """
    better_BHH = teacher_BH[:, :, None] > teacher_BH[:, None, :]  # false for nan
    place_BH = 1 + better_BHH.sum(1).to(scores_BH.dtype)
    weight_BHH = torch.where(better_BHH, 1 / (place_BH[:, :, None] + place_BH[:, None, :]), 0.0)
    loss_BHH = torch.nn.functional.softplus(scores_BH[:, None, :] - scores_BH[:, :, None])
    total_B = weight_BHH.sum((1, 2))
    mean_B = (weight_BHH * loss_BHH).sum((1, 2)) / torch.where(total_B > 0, total_B, 1.0)
    return mean_B.sum() / len(scores_BH)


def margin_mse(scores_BH: Tensor, teacher_BH: Tensor, temperature: float) -> Tensor:
    """The mean over pairs of scored documents of ((s_i - s_j) - (t_i - t_j) / temperature)^2, in nats squared.

    Hofstaetter et al. 2020 (arXiv 2010.02666), over all pairs of the list. Like `kl` it is 0 where s equals
    t / temperature up to a constant; it counts a gap at the list's end as much as one at its top.
    """
    scored_BH = _scored(teacher_BH)
    error_BH = torch.where(scored_BH, scores_BH - torch.where(scored_BH, teacher_BH, 0.0) / temperature, 0.0)
    count_B = scored_BH.sum(1)
    # Over all n (n - 1) ordered pairs the squared differences sum to 2 n times the squared distances from the mean.
    centred_BH = torch.where(scored_BH, error_BH - (error_BH.sum(1) / count_B.clamp(min=1))[:, None], 0.0)
    return (2 * centred_BH.square().sum(1) / (count_B - 1).clamp(min=1)).sum() / len(scores_BH)


def _scored(teacher_BH: Tensor) -> Tensor:
    """Which documents the teacher scored; none of a query that has only one."""
    scored_BH = teacher_BH.isfinite()
    return scored_BH & (scored_BH.sum(1, keepdim=True) > 1)


def _log_softmax(values_BH: Tensor, scored_BH: Tensor) -> Tensor:
    """The log-softmax over the scored documents; 0 for the others. No row is without an entry, so none is nan."""
    inside_BH = scored_BH | ~scored_BH.any(1, keepdim=True)
    log_BH = torch.where(scored_BH, values_BH, 0.0).masked_fill(~inside_BH, -torch.inf).log_softmax(1)
    return torch.where(scored_BH, log_BH, 0.0)
