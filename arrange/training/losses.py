"""Losses: each one turns the ranks of a query's documents into two weights per document.

The docIDs of a query's list form a trie. At a node v of it, with the documents D(v) below, p_v is the model's
distribution over the next token. Every loss here is one weighted sum of cross-entropies,

    L(q) = sum over nodes v of  W(v)^gamma * CE(y_v, p_v),
    W(v)   = sum of lambda_d over D(v) / the same sum over the whole list       (a node's weight; the root's is 1)
    y_v(c) = sum of mu_d over D(c) / sum of mu_d over D(v)                      (the target for the child c of v)

and a loss gives log lambda_d and log mu_d (`arrange.training.packing` sums them up). For gamma = 1 that equals
the mean over documents d, weighted by lambda_d, of sum_t CE(y(d, t), p(. | prompt, d[<t])), the loss of arXiv
2601.05588 (SToICaL) divided by sum_d lambda_d. Without that division (the paper's form) a query with a long
list counts more than one with a short list.

| loss | lambda_d | mu_d |
|---|---|---|
| ntp | 1[r = 1] | 1[r = 1] |
| item | r^-alpha | r^-alpha |
| stepwise | (n - better) / n | the same |
| token | 1[r = 1] | r^-beta |
| combined | r^-alpha | r^-beta |
| geometric | 1 | rho^(r - 1) |

Equal ranks get equal weights. A document without a rank (a judged negative) weighs nothing; it counts in the `Terms`
only, which any loss takes. To add a loss, write a dataclass like `Item` and put it into `Loss`.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from arrange.bounds import Count, Exponent, Positive, PositiveOr0, ShareAbove0
from arrange.errors import UserError
from arrange.training.terms import INDIFFERENT, UNMINED, UNTAUGHT, Mined, Preference, Teacher

Floats = NDArray[np.float64]
LARGEST = 1e300  # stands for an infinite exponent: exp of any difference is 0, and 0 times it is 0


class Weights(NamedTuple):
    """What a loss gives the documents of a list. Logarithms, because r^-beta may be too small for a float."""

    node_D: Floats  # log lambda
    target_D: Floats  # log mu


@dataclass(frozen=True, kw_only=True)
class Prefix:
    """The term of `arrange.training.prefix`: it keeps ranked documents in the beam.

    weight: 0 leaves it out. pairs: how a path's child is compared with a sibling. siblings: how many count at a node,
    the strongest ones. worst: how sharply a path's worst prefix is preferred, per nat; 0 averages over the prefixes.
    margin: of the hinge, in nats.
    """

    weight: PositiveOr0 = 0.0
    pairs: Literal["logistic", "hinge"] = "logistic"
    siblings: Count = 8
    worst: PositiveOr0 = 0.0
    margin: PositiveOr0 = 0.3


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What is added to a loss: the weights of the terms of `arrange.training.list_terms`, and `prefix`.

    0 leaves a term out. margin: of the hinge. temperature: of approx_ndcg and neural_ndcg. Both in nats.
    """

    plackett_luce: PositiveOr0 = 0.0
    list_mle: PositiveOr0 = 0.0
    hinge: PositiveOr0 = 0.0
    lambda_loss: PositiveOr0 = 0.0
    approx_ndcg: PositiveOr0 = 0.0
    neural_ndcg: PositiveOr0 = 0.0
    margin: PositiveOr0 = 0.3
    temperature: Positive = 1.0
    prefix: Prefix = Prefix()

    @property
    def compare_documents(self) -> bool:
        """Whether there is a term of `arrange.training.list_terms`: these need judged negatives."""
        weights = (self.plackett_luce, self.list_mle, self.hinge, self.lambda_loss, self.approx_ndcg, self.neural_ndcg)
        return any(weights)


@dataclass(frozen=True, kw_only=True)
class ListLoss:
    """What all losses have: how the weights of nodes enter, and the terms that are added.

    gamma: exponent of the nodes' weights. normalised: whether every query counts the same, however long its list.
    terms: of `arrange.training.list_terms` and `arrange.training.prefix`. teacher, preference, mined: see
    `arrange.training.terms`.
    """

    gamma: PositiveOr0 = 1.0
    normalised: bool = True
    terms: Terms = Terms()
    teacher: Teacher = UNTAUGHT
    preference: Preference = INDIFFERENT
    mined: Mined = UNMINED

    def __post_init__(self) -> None:
        if self.mined.documents and not (self.terms.compare_documents or self.preference.weight):
            raise ValueError(
                "mined documents have no rank, and no term of this loss compares ranked documents with them; "
                "add one (terms.plackett_luce, terms.hinge, preference), or leave `mined` out"
            )

    @property
    def is_taught(self) -> bool:
        """Whether a teacher's term or one on preferences is added."""
        return self.teacher.weight > 0 or self.preference.weight > 0

    @property
    def needs_reference(self) -> bool:
        """Whether a frozen copy of the first weights takes part."""
        return self.preference.weight > 0 and self.preference.term == "dpo"

    @property
    def compares_documents(self) -> bool:
        """Whether a term on whole docIDs is added: these need the documents without a rank too."""
        return self.terms.compare_documents or self.is_taught

    def weights(self, ranks: ArrayLike) -> Weights:
        """The weights of one query's documents.

        `ranks` (shape D): 1 is best, equal ranks are ties. nan (or None) is a judged negative: its weights are 0, here
        -inf. Raises UserError for a list in which no document has a rank.

        >>> np.exp(Item(alpha=1.0).weights([1, 2, None]).node_D)
        array([1. , 0.5, 0. ])
        """
        ranks_D = np.asarray(ranks, dtype=np.float64)
        is_ranked_D = ~np.isnan(ranks_D)
        if not is_ranked_D.any():
            raise UserError("a list has no ranked document", "give every query at least one document with a rank")
        node_D, target_D = np.full(ranks_D.shape, -np.inf), np.full(ranks_D.shape, -np.inf)
        node_D[is_ranked_D], target_D[is_ranked_D] = self.log_weights(ranks_D[is_ranked_D])
        return Weights(node_D, target_D)

    def log_weights(self, ranks_D: Floats) -> Weights:
        """The weights of documents that all have a rank. Each loss defines it."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Ntp(ListLoss):
    """Next-token prediction, the baseline: lambda = mu = 1[r = 1], all weight on the best document.

    Documents tied at rank 1 share it. `Item` for alpha -> infinity.
    """

    rule: Literal["ntp"] = "ntp"

    def log_weights(self, ranks_D: Floats) -> Weights:
        return Weights(_log_power(ranks_D, np.inf), _log_power(ranks_D, np.inf))


@dataclass(frozen=True, kw_only=True)
class Item(ListLoss):
    """The item-level loss, fractional: lambda = mu = r^-alpha (arXiv 2601.05588).

    Summed over the nodes it is sum_d lambda_d * -log P(d | q). It is lowest where P(d | q) = r_d^-alpha /
    sum_s s^-alpha, so the model ranks by falling probability. With M the probability of the whole list it equals
    -log M + CE(w, P / M): mass on the list plus ListNet within. alpha = 0 is the control: all documents weigh the same,
    and no order is learnt.
    """

    rule: Literal["item"] = "item"
    alpha: Exponent

    def log_weights(self, ranks_D: Floats) -> Weights:
        return Weights(_log_power(ranks_D, self.alpha), _log_power(ranks_D, self.alpha))


@dataclass(frozen=True, kw_only=True)
class Stepwise(ListLoss):
    """The item-level loss, stepwise: lambda = mu = (n - r + 1) / n, r - 1 being the number of better documents.

    The first gap is small, ln(n / (n - 1)), so the first places are hardly put in order.

    >>> np.exp(Stepwise().weights([1, 2, 2, 3]).node_D)
    array([1.  , 0.75, 0.75, 0.25])
    """

    rule: Literal["stepwise"] = "stepwise"

    def log_weights(self, ranks_D: Floats) -> Weights:
        better_D = np.searchsorted(np.sort(ranks_D), ranks_D)
        log_D = np.log((len(ranks_D) - better_D) / len(ranks_D))
        return Weights(log_D, log_D)


@dataclass(frozen=True, kw_only=True)
class Token(ListLoss):
    """The token-level loss: along the path of the best document, targets mu = r^-beta (arXiv 2601.05588).

    This is the paper's prefix-tree marginalisation: the target at a prefix is what the documents below it weigh.
    beta = infinity is `Ntp`. Prefixes off the best document's path get no signal (`Combined` teaches them).
    """

    rule: Literal["token"] = "token"
    beta: Exponent

    def log_weights(self, ranks_D: Floats) -> Weights:
        return Weights(_log_power(ranks_D, np.inf), _log_power(ranks_D, self.beta))


@dataclass(frozen=True, kw_only=True)
class Combined(ListLoss):
    """Nodes weighted by lambda = r^-alpha, targets by mu = r^-beta (arXiv 2601.05588, both at once).

    The optimum depends on beta alone; alpha (and gamma) say how much each prefix counts on the way there.
    `Ntp` is (inf, inf), `Token` (inf, beta), `Item` (alpha, alpha). beta = infinity is one-hot on the best document
    below each prefix.
    """

    rule: Literal["combined"] = "combined"
    alpha: Exponent
    beta: Exponent

    def log_weights(self, ranks_D: Floats) -> Weights:
        return Weights(_log_power(ranks_D, self.alpha), _log_power(ranks_D, self.beta))


@dataclass(frozen=True, kw_only=True)
class Geometric(ListLoss):
    """Targets mu = rho^(r - 1), nodes weighted by the number of documents below: our own loss.

    The optimum has the same gap, -ln(rho) nats, between any two neighbouring ranks. Under `Item` the gap
    alpha * ln((r + 1) / r) gets smaller down the list.

    >>> np.exp(Geometric(rho=0.5).weights([1, 2, 3]).target_D)
    array([1.  , 0.5 , 0.25])
    """

    rule: Literal["geometric"] = "geometric"
    rho: ShareAbove0

    def log_weights(self, ranks_D: Floats) -> Weights:
        return Weights(np.zeros_like(ranks_D), (ranks_D - 1) * np.log(self.rho))


Loss = Ntp | Item | Stepwise | Token | Combined | Geometric


def _log_power(ranks_D: Floats, exponent: float) -> Floats:
    """log r^-exponent; an infinite exponent leaves 1 at rank 1 and 0 below."""
    return -min(exponent, LARGEST) * np.log(ranks_D)
