"""Terms on the documents of one list: on the docIDs' summed log-probabilities, added with weights to a loss.

They compare the documents of a list with each other, whatever else the corpus holds. So judged negatives count here: a
document without a rank comes after all that have one. Every term is a mean over the queries of the batch. A query
without a pair adds 0 to the sum and 1 to the count, so a batch in pieces of equal size has the same gradient.
Without the cross-entropy the terms don't teach the model to find the list.

| term | compares | per query | teaches |
|---|---|---|---|
| hinge | pairs | mean | a gap of `margin` between any two ranks |
| plackett_luce | each document with all below | mean, weights ~ 1 / log2(r + 1) | the first places most |
| list_mle | the same | sum | every place alike |
| lambda_loss | pairs | sum, weights by what a swap would change | nDCG, at the present places |
| approx_ndcg | each document with all | 1 - nDCG at soft places | nDCG |
| neural_ndcg | a soft sort of all | 1 - nDCG of soft places' gains | nDCG |

nDCG has the gains 1 / r, and 0 for a judged negative, and isn't cut. These are the gains of `nDCG@10` in
`arrange.evaluation.measures` for every data set that has ranks and makes its gains of them, round(10^6 / r): WordNet,
teachers' lists, folders without gains. A data set with gains of its own (tiers: 100, 10, 1) has the same order.

B queries, H documents of the longest list; scores_BH = log P(d | q), in nats; ranks_BH: 1 best, equal ranks tie, inf
for a judged negative, nan for padding, which is last. Every query has a document with a rank.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

MU = 10.0  # of NDCG-Loss2++: how much NDCG-Loss2 weighs beside LambdaRank
ROUNDS = 30  # of Sinkhorn's scaling; a fixed number, so that a query's value doesn't depend on the batch


def hinge(scores_BH: Tensor, ranks_BH: Tensor, margin: float) -> Tensor:
    """The mean over pairs with r_i < r_j of max(0, margin - s_i + s_j). `margin` in nats.

    RankSVM's loss (Joachims 2002) on log-probabilities.
    """
    better_BHH = _better(ranks_BH)
    violation_BHH = (margin - (scores_BH[:, :, None] - scores_BH[:, None, :])).clamp(min=0)
    pairs_B = better_BHH.sum((1, 2))
    return (torch.where(better_BHH, violation_BHH, 0.0).sum((1, 2)) / pairs_B.clamp(min=1)).mean()


def plackett_luce(scores_BH: Tensor, ranks_BH: Tensor) -> Tensor:
    """sum over ranked i of lambda_i * (log sum over r_j >= r_i of exp s_j  -  s_i).

    `list_mle` with its positions discounted, our own: lambda_i ~ 1 / log2(r_i + 1), summing to 1 per query.
    """
    discount_BH = torch.where(ranks_BH.isfinite(), 1 / torch.log2(ranks_BH + 1), 0.0)
    lambda_BH = discount_BH / discount_BH.sum(1, keepdim=True)
    return (lambda_BH * _surprise(scores_BH, ranks_BH)).sum(1).mean()


def list_mle(scores_BH: Tensor, ranks_BH: Tensor) -> Tensor:
    """sum over ranked i of (log sum over r_j >= r_i of exp s_j  -  s_i): -log P(the list), by the Plackett-Luce model.

    ListMLE (Xia et al. 2008). Tied documents stay in each other's sum (Breslow 1974). It differs from `plackett_luce`
    in two ways: every place weighs the same, and it is a sum, so that a query with a long list counts more.
    """
    return _surprise(scores_BH, ranks_BH).sum(1).mean()


def lambda_loss(scores_BH: Tensor, ranks_BH: Tensor) -> Tensor:
    """sum over pairs r_i < r_j of (rho_ij + MU delta_ij) * (G_i - G_j) * log2(1 + exp(s_j - s_i)).

    NDCG-Loss2++ of LambdaLoss (Wang et al. 2018). G are the gains over the best possible DCG; with p the documents'
    places by falling score and D_p = log2(1 + p),
        rho_ij   = |1 / D_{p_i} - 1 / D_{p_j}|                      (LambdaRank: what swapping i and j would change)
        delta_ij = 1 / D_{|p_i - p_j|} - 1 / D_{|p_i - p_j| + 1}    (NDCG-Loss2: it bounds 1 - nDCG)
    Places move with each step, but no gradient goes through them. Of equal scores the worst rank comes first.
    """
    gain_BH, place_BH = _gains(ranks_BH), _places(scores_BH.detach(), ranks_BH).to(scores_BH.dtype)
    discount_BH = 1 / torch.log2(1 + place_BH)
    rho_BHH = (discount_BH[:, :, None] - discount_BH[:, None, :]).abs()
    apart_BHH = (place_BH[:, :, None] - place_BH[:, None, :]).abs().clamp(min=1)  # 0 is no pair's
    delta_BHH = 1 / torch.log2(1 + apart_BHH) - 1 / torch.log2(2 + apart_BHH)
    weight_BHH = (rho_BHH + MU * delta_BHH) * (gain_BH[:, :, None] - gain_BH[:, None, :])
    bits_BHH = -logsigmoid(scores_BH[:, :, None] - scores_BH[:, None, :]) / math.log(2)
    return torch.where(_better(ranks_BH), weight_BHH * bits_BHH, 0.0).sum((1, 2)).mean()


def approx_ndcg(scores_BH: Tensor, ranks_BH: Tensor, temperature: float) -> Tensor:
    """1 - sum_i G_i / log2(1 + p_i), the soft place p_i = 1 + sum over j != i of sigmoid((s_j - s_i) / temperature).

    ApproxNDCG (Qin, Liu and Li 2010). For temperature -> 0 it is 1 - nDCG. Scores that are many temperatures apart have
    no gradient. Because the discount is convex, the term has local optima: two documents of ranks 1 and 2 in the wrong
    order are driven further apart once they are 1.2 temperatures apart. So give a temperature above the usual gaps, in
    nats, or take `neural_ndcg`, which has the right sign for every pair alone.
    """
    ahead_BHH = ((scores_BH[:, None, :] - scores_BH[:, :, None]) / temperature).sigmoid()
    others_BHH = ~ranks_BH.isnan()[:, None, :] & ~_identity(ranks_BH)
    place_BH = 1 + torch.where(others_BHH, ahead_BHH, 0.0).sum(2)
    return 1 - (_gains(ranks_BH) / torch.log2(1 + place_BH)).sum(1).mean()


def neural_ndcg(scores_BH: Tensor, ranks_BH: Tensor, temperature: float) -> Tensor:
    """1 - sum over places i of (P G)_i / log2(1 + i), P a soft permutation: P_ij is how much j has of place i.

    NeuralNDCG (Pobrotyn and Bialobrzeski 2021). Row i of P is the softmax over j of
    ((n + 1 - 2i) s_j - sum_k |s_j - s_k|) / temperature (NeuralSort, Grover et al. 2019), n the number of documents.
    Sinkhorn's scaling then makes the columns sum to 1 too. For temperature -> 0 it is 1 - nDCG.
    """
    is_document_BH = ~ranks_BH.isnan()
    n_B1 = is_document_BH.sum(1, keepdim=True)
    # A constant added to all scores changes nothing; without their mean, sums of low scores lose no digits.
    scores_BH = torch.where(is_document_BH, scores_BH, 0.0)
    scores_BH = torch.where(is_document_BH, scores_BH - scores_BH.sum(1, keepdim=True) / n_B1, 0.0)
    apart_BHH = (scores_BH[:, :, None] - scores_BH[:, None, :]).abs()
    spread_BH = torch.where(is_document_BH[:, None, :], apart_BHH, 0.0).sum(2)
    place_H = _numbers(scores_BH)
    slope_BH = n_B1 + 1 - 2 * place_H
    logit_BHH = (slope_BH[:, :, None] * scores_BH[:, None, :] - spread_BH[:, None, :]) / temperature
    # Padding keeps its place: its rows and columns are those of the identity, which no scaling changes.
    in_list_BHH = (place_H <= n_B1)[:, :, None] & is_document_BH[:, None, :]
    padding_BHH = torch.zeros_like(logit_BHH).masked_fill(~_identity(ranks_BH), -torch.inf)
    log_p_BHH = torch.where(in_list_BHH, logit_BHH, padding_BHH.masked_fill(is_document_BH[:, :, None], -torch.inf))
    log_p_BHH = log_p_BHH.log_softmax(2)
    for _ in range(ROUNDS):
        log_p_BHH = log_p_BHH.log_softmax(1).log_softmax(2)
    gain_BH = (log_p_BHH.exp() @ _gains(ranks_BH)[:, :, None]).squeeze(2)
    return 1 - (gain_BH / torch.log2(1 + place_H)).sum(1).mean()


def _surprise(scores_BH: Tensor, ranks_BH: Tensor) -> Tensor:
    """-log P(i is drawn first among the documents that aren't better), of each ranked document i; else 0. B x H."""
    is_ranked_BH = ranks_BH.isfinite()
    below_BHH = ranks_BH[:, None, :] >= ranks_BH[:, :, None]  # false for padding
    ahead_BHH = (scores_BH[:, None, :] - scores_BH[:, :, None]).masked_fill(~below_BHH, -torch.inf)
    return torch.where(is_ranked_BH, ahead_BHH.masked_fill(~is_ranked_BH[:, :, None], 0.0).logsumexp(2), 0.0)


def _better(ranks_BH: Tensor) -> Tensor:
    """Whether document i should be above document j, B x H x H; false for padding."""
    return ranks_BH[:, :, None] < ranks_BH[:, None, :]


def _identity(values_BH: Tensor) -> Tensor:
    return torch.eye(values_BH.shape[1], dtype=torch.bool, device=values_BH.device)


def _numbers(values_BH: Tensor) -> Tensor:
    """1 .. H, in the type of the values."""
    return torch.arange(1, values_BH.shape[1] + 1, dtype=values_BH.dtype, device=values_BH.device)


def _gains(ranks_BH: Tensor) -> Tensor:
    """1 / r over the best possible DCG, so that discounted gains sum to the nDCG; 0 without a rank. B x H."""
    gain_BH = torch.where(ranks_BH.isfinite(), 1 / ranks_BH, 0.0)
    best_BH = gain_BH.sort(1, descending=True).values
    return gain_BH / (best_BH / torch.log2(1 + _numbers(ranks_BH))).sum(1, keepdim=True)


def _places(scores_BH: Tensor, ranks_BH: Tensor) -> Tensor:
    """The place of each document by falling score, from 1; of equal scores the worst rank first; padding last."""
    worst_first_BH = ranks_BH.nan_to_num(nan=0.0, posinf=torch.inf).argsort(dim=1, descending=True, stable=True)
    sorted_BH = scores_BH.masked_fill(ranks_BH.isnan(), -torch.inf).gather(1, worst_first_BH)
    order_BH = worst_first_BH.gather(1, sorted_BH.argsort(dim=1, descending=True, stable=True))
    return order_BH.argsort(1) + 1
