"""Pairwise terms: on the docIDs' summed log-probabilities, added with a weight to a loss of `arrange.training.losses`.

They compare the documents of one list with each other. So judged negatives count here: a document without a rank
comes after all that have one. The terms are our own. Alone, without the cross-entropy, both collapse.
B queries, H documents of the longest list; scores_BH = log P(d | q); ranks_BH: 1 best, equal ranks tie, inf for a
judged negative, nan for padding.
"""

import torch
from torch import Tensor


def hinge(scores_BH: Tensor, ranks_BH: Tensor, margin: float) -> Tensor:
    """The mean over pairs with r_i < r_j of max(0, margin - s_i + s_j), averaged over the queries that have a pair.

    RankSVM's loss (Joachims 2002) on log-probabilities; `margin` in nats.
    """
    better_BHH = ranks_BH[:, :, None] < ranks_BH[:, None, :]  # false for padding
    violation_BHH = (margin - scores_BH[:, :, None] + scores_BH[:, None, :]).clamp(min=0)
    pairs_B = better_BHH.sum((1, 2))
    mean_B = torch.where(better_BHH, violation_BHH, 0.0).sum((1, 2)) / pairs_B.clamp(min=1)
    return mean_B.sum() / (pairs_B > 0).sum().clamp(min=1)


def plackett_luce(scores_BH: Tensor, ranks_BH: Tensor) -> Tensor:
    """sum over ranked i of lambda_i * (log sum over r_j >= r_i of exp s_j  -  s_i), averaged over the queries.

    The likelihood of the list under the Plackett-Luce model (ListMLE, Xia et al. 2008), its positions discounted:
    lambda_i ~ 1 / log2(r_i + 1), summing to 1 per query. Tied documents stay in each other's sum (Breslow 1974).
    """
    is_ranked_BH = ranks_BH.isfinite()
    discount_BH = torch.where(is_ranked_BH, 1 / torch.log2(ranks_BH + 1), 0.0)
    lambda_BH = discount_BH / discount_BH.sum(1, keepdim=True)
    below_BHH = ranks_BH[:, None, :] >= ranks_BH[:, :, None]  # false for padding
    masked_BHH = scores_BH[:, None, :].masked_fill(~below_BHH, -torch.inf)
    rest_BH = torch.where(is_ranked_BH, masked_BHH.masked_fill(~is_ranked_BH[:, :, None], 0.0).logsumexp(2), 0.0)
    return (lambda_BH * torch.where(is_ranked_BH, rest_BH - scores_BH, 0.0)).sum() / len(scores_BH)
