"""Losses: each one is a rule that turns the ranks of a query's documents into two weights per document.

The docIDs of a query's list form a trie. At a node v of it, below which the documents D(v) lie, the model's
distribution over the next token is p_v. Every loss here is one weighted sum of cross-entropies,

    L(q) = sum over nodes v of  W(v)^gamma * CE(y_v, p_v),
    W(v)   = sum of lambda_d over D(v) / the same sum over the whole list       (a node's weight; the root's is 1)
    y_v(c) = sum of mu_d over D(c) / sum of mu_d over D(v)                      (the target for the child c of v)

and a rule gives log lambda_d and log mu_d (`arrange.training.packing` sums them up). For gamma = 1 that equals
the mean over documents d, weighted by lambda_d, of sum_t CE(y(d, t), p(. | prompt, d[<t])), the loss of arXiv
2601.05588 (SToICaL) divided by sum_d lambda_d. Without that division (the paper's form) a query with a long
list counts more than one with a short list.

| rule | lambda_d | mu_d |
|---|---|---|
| ntp | 1[r = 1] | 1[r = 1] |
| item | r^-alpha | r^-alpha |
| stepwise | (n - better) / n | the same |
| token | 1[r = 1] | r^-beta |
| combined | r^-alpha | r^-beta |
| geometric | 1 | rho^(r - 1) |

Equal ranks get equal weights. A document without a rank (a judged negative) weighs nothing; the pairwise terms
of `arrange.training.pairwise` are where it counts. To add a loss, write a function of `ranks_D` and name it in `RULES`.
"""

import inspect
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from arrange.errors import UserError

Floats = NDArray[np.float64]
LARGEST = 1e300  # stands for an infinite exponent: exp of any difference is 0, and 0 times it is 0


class Weights(NamedTuple):
    """What a loss gives the documents of a list; logarithms, since r^-beta leaves the range of floats."""

    node_D: Floats  # log lambda
    target_D: Floats  # log mu


def ntp(ranks_D: Floats) -> Weights:
    """Next-token prediction, the baseline: lambda = mu = 1[r = 1], all weight on the best document.

    Documents tied at rank 1 share it. `item` for alpha -> infinity.
    """
    return item(ranks_D, alpha=np.inf)


def item(ranks_D: Floats, alpha: float) -> Weights:
    """The item-level loss, fractional: lambda = r^-alpha, one-hot targets (arXiv 2601.05588).

    Summed over the nodes this is mu = lambda: sum_d lambda_d * -log P(d | q). It is lowest where
    P(d | q) = r_d^-alpha / sum_s s^-alpha, so the model ranks by falling probability: with M the probability of
    the whole list it equals -log M + CE(w, P / M), mass on the list plus ListNet within. alpha = 0 is the
    control: all documents weigh the same, and no order is learnt.

    >>> np.exp(item(np.array([1.0, 2.0, 4.0]), alpha=1).node_D)
    array([1.  , 0.5 , 0.25])
    """
    log_D = _power(ranks_D, alpha)
    return Weights(log_D, log_D)


def stepwise(ranks_D: Floats) -> Weights:
    """The item-level loss, stepwise: lambda = (n - r + 1) / n, r - 1 being the number of better documents.

    As `item` otherwise. The first gap is small, ln(n / (n - 1)), which costs the first places their order.

    >>> np.exp(stepwise(np.array([1.0, 2.0, 2.0, 3.0])).node_D)
    array([1.  , 0.75, 0.75, 0.25])
    """
    better_D = np.searchsorted(np.sort(ranks_D), ranks_D)
    log_D = np.log((len(ranks_D) - better_D) / len(ranks_D))
    return Weights(log_D, log_D)


def token(ranks_D: Floats, beta: float) -> Weights:
    """The token-level loss: along the path of the best document, targets mu = r^-beta (arXiv 2601.05588).

    The prefix-tree marginalisation of the paper: the target at a prefix is what the documents below it weigh.
    beta = infinity is `ntp`; prefixes off the best document's path get no signal (`combined` teaches them).
    """
    return combined(ranks_D, alpha=np.inf, beta=beta)


def combined(ranks_D: Floats, alpha: float, beta: float) -> Weights:
    """Nodes weighted by lambda = r^-alpha, targets by mu = r^-beta (arXiv 2601.05588, both at once).

    The optimum depends on beta alone; alpha (and gamma) say how much each prefix counts on the way there.
    `ntp` is (inf, inf), `token` (inf, beta), `item` (alpha, alpha). beta = infinity is one-hot on the best document
    below each prefix. gamma, an exponent of the node weights, is given to the kernel: 1 here, 0 all prefixes alike.
    """
    return Weights(_power(ranks_D, alpha), _power(ranks_D, beta))


def geometric(ranks_D: Floats, rho: float) -> Weights:
    """Targets mu = rho^(r - 1), nodes weighted by the number of documents below: our own rule.

    The optimum has the same gap, -ln(rho) nats, between any two neighbouring ranks; under `item` the gap
    alpha * ln((r + 1) / r) closes down the list.

    >>> np.exp(geometric(np.array([1.0, 2.0, 3.0]), rho=0.5).target_D)
    array([1.  , 0.5 , 0.25])
    """
    return Weights(np.zeros_like(ranks_D), (ranks_D - 1) * np.log(rho))


def _power(ranks_D: Floats, exponent: float) -> Floats:
    """log r^-exponent; an infinite exponent leaves 1 at rank 1 and 0 below."""
    return -min(exponent, LARGEST) * np.log(ranks_D)


RULES: dict[str, Callable[..., Weights]] = {
    "ntp": ntp,
    "item": item,
    "stepwise": stepwise,
    "token": token,
    "combined": combined,
    "geometric": geometric,
}


def check_loss(rule: str, parameters: Mapping[str, float]) -> None:
    """Raise UserError unless `rule` is known and `parameters` are its own, at least 0 (rho: between 0 and 1)."""
    if rule not in RULES:
        near = get_close_matches(rule, RULES, n=1, cutoff=0.0)[0]
        raise UserError(f"unknown loss {rule!r}", f"did you mean {near!r}? Losses: {', '.join(RULES)}")
    wanted = list(inspect.signature(RULES[rule]).parameters)[1:]
    if sorted(parameters) != sorted(wanted):
        given = ", ".join(sorted(parameters)) or "none"
        raise UserError(f"loss {rule!r} got the parameters: {given}", f"give exactly: {', '.join(wanted) or 'none'}")
    for name, value in parameters.items():
        if not (0 < value < 1 if name == "rho" else value >= 0):
            bounds = "between 0 and 1" if name == "rho" else "of at least 0"
            raise UserError(f"{name} of loss {rule!r} is {value}", f"give a number {bounds}")


def weights(rule: str, parameters: Mapping[str, float], ranks: ArrayLike) -> Weights:
    """The weights of one query's documents under a loss.

    `ranks` (shape D): 1 is best, equal ranks are ties, nan (or None) is a judged negative, whose weights are 0
    (-inf here). At least one document must have a rank. Raises UserError for an unknown loss or wrong parameters.

    >>> np.exp(weights("item", {"alpha": 1}, [1, 2, None]).node_D)
    array([1. , 0.5, 0. ])
    """
    check_loss(rule, parameters)
    ranks_D = np.asarray(ranks, dtype=np.float64)
    is_ranked_D = ~np.isnan(ranks_D)
    if not is_ranked_D.any():
        raise UserError("a list has no ranked document", "give every query at least one document with a rank")
    given = RULES[rule](ranks_D[is_ranked_D], **parameters)
    spread = [np.full(ranks_D.shape, -np.inf) for _ in given]
    for log_D, part in zip(spread, given, strict=True):
        log_D[is_ranked_D] = part
    return Weights(*spread)
