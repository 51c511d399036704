"""Terms on preferences: of a better and a worse document of a list, the better one is to gain on the worse one.

The pairs are those of `arrange.training.list_terms`: r_i < r_j, and a document without a rank (a judged negative, one
of a teacher or one that the model found itself) comes after all that have one. Each term is the mean over a query's
pairs, averaged over the queries of the batch; a query without a pair adds 0. Both are logistic like RankNet, where the
hinge is flat beyond its margin.

B queries, H documents of the longest list; scores_BH = log P(d | q); ranks_BH: 1 best, equal ranks tie, inf for a
document without a rank, nan for padding.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import softplus

from arrange.training.packed_pass import padded
from arrange.training.terms import Preference


def term(
    scores_D: Tensor, batch: Mapping[str, Tensor], preference: Preference, reference_D: Tensor | None = None
) -> Tensor:
    """The term that the settings name, without its weight. scores_D, reference_D: of a packed batch's documents."""
    query_D = batch["document_query"]
    scores_BH = padded(scores_D, query_D, 0.0)
    ranks_BH = padded(batch["rank"].nan_to_num(torch.inf), query_D, torch.nan)
    if preference.term == "dpo":
        assert reference_D is not None, "dpo needs a reference"
        return dpo(scores_BH, padded(reference_D, query_D, 0.0), ranks_BH, preference.beta)
    lengths_BH = padded((batch["path"] >= 0).sum(1).to(scores_D.dtype), query_D, 1.0)
    return simpo(scores_BH, lengths_BH, ranks_BH, preference.beta, preference.margin)


def dpo(scores_BH: Tensor, reference_BH: Tensor, ranks_BH: Tensor, beta: float) -> Tensor:
    """-log sigmoid(beta * ((s_i - f_i) - (s_j - f_j))), f the scores of a frozen reference.

    Direct preference optimisation (Rafailov et al. 2023, arXiv 2305.18290); beta 0.4 as in DDRO, which begins with a
    finetuned model. What counts is the gain over the reference: at the start, where there is none, all pairs pull
    alike, in order or not. A reference that is the same for all documents leaves RankNet with a slope.
    """
    return _logistic(beta * (scores_BH - reference_BH), ranks_BH, 0.0)


def simpo(scores_BH: Tensor, lengths_BH: Tensor, ranks_BH: Tensor, beta: float, margin: float) -> Tensor:
    """-log sigmoid(beta * (s_i / l_i - s_j / l_j) - margin), l the number of tokens of a docID, its end included.

    SimPO (Meng et al. 2024, arXiv 2405.14734): no reference. It trains the mean by which arXiv 2601.05588 ranks, where
    the other terms train the sum. lengths_BH: 1 for padding.
    """
    return _logistic(beta * scores_BH / lengths_BH, ranks_BH, margin)


def _logistic(values_BH: Tensor, ranks_BH: Tensor, margin: float) -> Tensor:
    """The mean over pairs with r_i < r_j of log(1 + exp(margin - v_i + v_j)), averaged over all queries."""
    better_BHH = ranks_BH[:, :, None] < ranks_BH[:, None, :]  # false for padding
    loss_BHH = torch.where(better_BHH, softplus(margin - values_BH[:, :, None] + values_BH[:, None, :]), 0.0)
    return (loss_BHH.sum((1, 2)) / better_BHH.sum((1, 2)).clamp(min=1)).sum() / len(values_BH)
