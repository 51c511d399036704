"""A term on prefixes: at each node of a ranked document's path, its child against its siblings in the catalogue.

Beam search keeps a document only while its prefix is among the strongest. So a document that the model ranks high as a
whole is lost where a sibling of one of its prefixes, at the head of other documents, has more mass. For a document d of
rank r, a node v on its path and the child c there,

    l(d, v) = mean over competitors c' of phi(log p(c | v) - log p(c' | v)),
    phi(x)  = log(1 + exp(-x))  (RankNet, Burges et al. 2005)  or  max(0, margin - x)  (hinge).

Competitors are children of v in the trie of all docIDs, the strongest `siblings` of them by the model; not c, nor a
child that leads to a document of the list whose rank is r or better. A judged negative is no better than a document
outside of the list. Log-probabilities of one node differ as its logits do, so the term is the same under every
normaliser (a temperature divides the differences). A path's value is the mean of l over its nodes that have a
competitor, or

    log(mean over v of exp(worst * l(d, v))) / worst,

whose gradient weights the prefixes by softmax(worst * l): the adaptive worst-prefix weights of APAO (arXiv 2603.02730).
`worst` -> 0 is the mean, `worst` -> infinity the worst prefix alone. The term is the mean of the paths' values over a
query's ranked documents (0 for a path without a competitor), and then over the queries.

The cross-entropy raises p(c | v) against the sum of all others; this compares it with the few that fill a beam.
`arrange.training.list_terms` compares whole documents of the list, wherever they part. In context nothing is searched:
all candidates are scored, so no prefix is lost.

Shapes as in `arrange.training.packing`: D documents, T tokens of the longest docID, E edges, N outputs, P children of
the N; J candidates at a node.
"""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from arrange.training.losses import Prefix
from arrange.training.packed_pass import Batch


def prefix(log_probability_NC: Tensor, batch: Batch, ranks_D: Tensor, term: Prefix) -> Tensor:
    """The term of a packed batch, a mean over its queries; without its weight.

    log_probability_NC: of `packed_pass.log_probabilities`. batch: packed with `siblings`. ranks_D: 1 is best, inf for
    a judged negative.
    """
    loss_DT, competes_DT = _at_nodes(log_probability_NC, batch, ranks_D, term)
    value_D, query_D = _over_path(loss_DT, competes_DT, term.worst), batch["document_query"]
    ranked_B = torch.bincount(query_D, ranks_D.isfinite().to(value_D.dtype), int(batch["queries"]))
    return (value_D / ranked_B[query_D].clamp(min=1)).sum() / len(ranked_B)


def _at_nodes(log_probability_NC: Tensor, batch: Batch, ranks_D: Tensor, term: Prefix) -> tuple[Tensor, Tensor]:
    """l(d, v) for the nodes of each document's path, and whether there is a competitor; both D x T, 0 where not."""
    path_DT = batch["path"]
    here_DT = (path_DT >= 0) & ranks_D.isfinite()[:, None]
    edge_M, rank_M1 = path_DT[here_DT], ranks_D[:, None].expand_as(path_DT)[here_DT][:, None]  # M: these nodes
    head_M = batch["edge_head"][edge_M]
    log_p_P = log_probability_NC[batch["child_head"], batch["child_column"]]
    candidate_NJ, is_child_NJ = _strongest(log_p_P.detach(), batch, term.siblings)
    candidate_MJ = candidate_NJ[head_M]
    competes_MJ = is_child_NJ[head_M] & (_best_ranks(batch, ranks_D)[candidate_MJ] > rank_M1)
    competes_MJ &= competes_MJ.cumsum(1) <= term.siblings  # candidates are in order of strength
    ahead_MJ = log_p_P[batch["edge_child"][edge_M]][:, None] - log_p_P[candidate_MJ]
    loss_MJ = (term.margin - ahead_MJ).clamp(min=0) if term.pairs == "hinge" else -logsigmoid(ahead_MJ)
    count_M = competes_MJ.sum(1)
    loss_M = torch.where(competes_MJ, loss_MJ, 0.0).sum(1) / count_M.clamp(min=1)
    loss_DT = loss_M.new_zeros(path_DT.shape).masked_scatter(here_DT, loss_M)
    return loss_DT, torch.zeros_like(here_DT).masked_scatter(here_DT, count_M > 0)


def _best_ranks(batch: Batch, ranks_D: Tensor) -> Tensor:
    """The best rank of the list's documents below each of the P children; inf where there is none."""
    path_DT = batch["path"]
    rank_DT = ranks_D[:, None].expand_as(path_DT)
    best_E = ranks_D.new_full(batch["edge_head"].shape, torch.inf)
    best_E = best_E.scatter_reduce(0, path_DT[path_DT >= 0], rank_DT[path_DT >= 0], "amin")
    return ranks_D.new_full(batch["child_head"].shape, torch.inf).index_put((batch["edge_child"],), best_E)


def _strongest(log_p_P: Tensor, batch: Batch, siblings: int) -> tuple[Tensor, Tensor]:
    """The strongest children of each output, by falling log-probability, N x J: which of the P, and whether it is one.

    J is `siblings` and as many more as there are children that may not compete, those in the list.
    """
    head_P = batch["child_head"]
    order_P = log_p_P.argsort(descending=True, stable=True)
    order_P = order_P[head_P[order_P].argsort(stable=True)]
    count_N = head_P.bincount()
    listed = int(batch["edge_head"].bincount().max())
    place_J = torch.arange(min(siblings + listed, int(count_N.max())), device=head_P.device)
    is_child_NJ = place_J < count_N[:, None]
    first_N1 = (count_N.cumsum(0) - count_N)[:, None]
    return order_P[torch.where(is_child_NJ, first_N1 + place_J, 0)], is_child_NJ


def _over_path(loss_DT: Tensor, competes_DT: Tensor, worst: float) -> Tensor:
    """The mean over the nodes with a competitor or, for `worst` above 0, the soft maximum; 0 without one. Shape D."""
    nodes_D = competes_DT.sum(1)
    if worst == 0:
        return loss_DT.sum(1) / nodes_D.clamp(min=1)
    filled_DT = competes_DT | (nodes_D == 0)[:, None]  # with zeros: the maximum of none has no gradient
    total_D = (worst * loss_DT).masked_fill(~filled_DT, -torch.inf).logsumexp(1)
    return (total_D - filled_DT.sum(1).to(total_D.dtype).log()) / worst
