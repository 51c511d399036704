"""Losses: each one is a rule that turns the ranks of a query's documents into weights.

The loss of a query q with documents d at ranks r_d is a weighted sum of summed docID log-probabilities,

    L(q) = - sum_d w_d * log P(d | q),    log P(d | q) = sum_t log p(token t of d | q, tokens before t),

with the weights w_d of a rule below, normalised per query to sum 1, so that a query with a long list
counts no more than one with a short list. Source: arXiv 2601.05588 (lambda(r) there, not normalised).
To add a loss, write a function of `ranks_D` and give it a name in `RULES`.
"""

import inspect
from collections.abc import Callable, Mapping
from difflib import get_close_matches

import numpy as np
from numpy.typing import ArrayLike, NDArray

from arrange.errors import UserError

Floats = NDArray[np.float64]


def ntp(ranks_D: Floats) -> Floats:
    """Next-token prediction, the baseline: lambda(r) = 1[r = 1], all weight on the best document.

    Documents tied at rank 1 share the weight. The limit of `item` for alpha -> infinity.

    >>> ntp(np.array([1.0, 2.0, 3.0]))
    array([1., 0., 0.])
    """
    return (ranks_D == 1).astype(np.float64)


def item(ranks_D: Floats, alpha: float) -> Floats:
    """The item-level loss, fractional: lambda(r) = r^-alpha, alpha >= 0.

    Normalised, it is lowest where P(d | q) = r_d^-alpha / sum_s s^-alpha: the model then ranks by
    falling probability. alpha = 0 weights every document alike (and learns no order).

    >>> item(np.array([1.0, 2.0, 4.0]), alpha=1)
    array([1.  , 0.5 , 0.25])
    """
    return ranks_D**-alpha


RULES: dict[str, Callable[..., Floats]] = {"ntp": ntp, "item": item}


def check_loss(loss: str, parameters: Mapping[str, float]) -> None:
    """Raise UserError unless `loss` is known and `parameters` are its own, finite or infinite, and >= 0."""
    if loss not in RULES:
        near = get_close_matches(loss, RULES, n=1, cutoff=0.0)[0]
        raise UserError(f"unknown loss {loss!r}", f"did you mean {near!r}? Losses: {', '.join(RULES)}")
    wanted = list(inspect.signature(RULES[loss]).parameters)[1:]
    if sorted(parameters) != sorted(wanted):
        given = ", ".join(sorted(parameters)) or "none"
        raise UserError(f"loss {loss!r} got the parameters: {given}", f"give exactly: {', '.join(wanted) or 'none'}")
    for name, value in parameters.items():
        if not value >= 0:
            raise UserError(f"{name} of loss {loss!r} is {value}", "give a number of at least 0")


def weights(loss: str, parameters: Mapping[str, float], ranks: ArrayLike) -> Floats:
    """The weights of one query's documents under a loss; they sum to 1.

    `ranks` (shape D): 1 is best, equal ranks are ties, nan (or None) is a judged negative and weighs 0.
    At least one document must have a rank. Raises UserError for an unknown loss or wrong parameters.

    >>> weights("item", {"alpha": 1}, [1, 2, None])
    array([0.66666667, 0.33333333, 0.        ])
    """
    check_loss(loss, parameters)
    ranks_D = np.asarray(ranks, dtype=np.float64)
    is_ranked_D = ~np.isnan(ranks_D)
    weights_D = np.zeros_like(ranks_D)
    weights_D[is_ranked_D] = RULES[loss](ranks_D[is_ranked_D], **parameters)
    return weights_D / weights_D.sum()
