"""How many orders of k documents a dual encoder of n dimensions can give at all, and how many a trained one gives.

Each of k documents is a point in R^n, the same for all queries. A query is another point and ranks the documents by
inner product or by distance. Only some of the k! orders are the ranking of any query.
"""

from collections.abc import Callable
from itertools import permutations
from math import lgamma, log

import torch
from torch import Tensor

from arrange.baselines.dual import weighted_softmax

Loss = Callable[[Tensor, Tensor], Tensor]


def orders_by_distance(n: int, k: int) -> int:
    """N(n, k): the number of orders of k points in general position in R^n by Euclidean distance from a query.

    The same for inner product with a bias per document. N(n, k) = N(n, k-1) + (k-1) N(n-1, k-1), 1 for n = 0 or
    k = 1. Cover 1967, Good and Tideman 1977.

    >>> [orders_by_distance(n, 5) for n in (1, 2, 3, 4)]
    [11, 46, 96, 120]
    """
    count_N = [1] * (n + 1)  # of one document, for 0 .. n dimensions
    for others in range(1, k):
        count_N = [1] + [count_N[i] + others * count_N[i - 1] for i in range(1, n + 1)]
    return count_N[n]


def orders_by_inner_product(n: int, k: int) -> int:
    """Q(n, k): the number of orders of k vectors in general position in R^n by inner product or cosine with a query.

    Q(n, k) = Q(n, k-1) + (k-1) Q(n-1, k-1), 2 for n = 1 or k = 2 (n >= 1, k >= 2). Cover 1967.

    >>> [orders_by_inner_product(n, 5) for n in (2, 3, 4)]
    [20, 72, 120]
    """
    count_N = [2] * n  # of two documents, for 1 .. n dimensions
    for others in range(2, k):
        count_N = [2] + [count_N[i] + others * count_N[i - 1] for i in range(1, n)]
    return count_N[n - 1]


def too_few_dimensions(k: int) -> float:
    """ln(k!) / (2 ln k): with fewer dimensions a dual encoder can't give every order of k >= 2 documents.

    A proposition of arXiv 2601.05588. It is a lower bound: the counts above reach k! at n = k - 1 only.

    >>> round(too_few_dimensions(10), 2), round(too_few_dimensions(100), 2)
    (3.28, 39.49)
    """
    return lgamma(k + 1) / (2 * log(k))


def softmax(scores_QK: Tensor, order_QK: Tensor) -> Tensor:
    """The weighted softmax of `dual` with the weights 1/r; `order_QK` holds each query's documents, best first."""
    weights_K = 1 / torch.arange(1, order_QK.shape[1] + 1)
    return weighted_softmax(scores_QK, order_QK, (weights_K / weights_K.sum()).expand_as(order_QK))


def plackett_luce(scores_QK: Tensor, order_QK: Tensor) -> Tensor:
    """-log of the probability of this order, where documents are drawn by softmax one after the other."""
    ordered_QK = scores_QK.gather(1, order_QK)
    rest_QK = ordered_QK.flip(1).logcumsumexp(dim=1).flip(1)
    return (rest_QK - ordered_QK).sum(dim=1).mean()


def trained_orders(
    n: int, k: int, seed: int, loss: Loss = plackett_luce, steps: int = 500, learning_rate: float = 0.05
) -> float:
    """The share of all k! orders that a dual encoder of n dimensions gives after training on every one of them.

    Each order is a query with a free vector, so only the dimension limits the fit. Trained by Adam on all queries at
    once. The share is at most `orders_by_inner_product(n, k)` / k!. `plackett_luce` comes near that. `softmax`, the
    loss of `arrange.baselines.dual`, ends at document vectors that give far fewer orders for n < k - 1.
    """
    order_QK = torch.tensor(list(permutations(range(k))))
    generator = torch.Generator().manual_seed(seed)
    queries_QN, documents_KN = (
        torch.randn(rows, n, generator=generator).requires_grad_() for rows in (len(order_QK), k)
    )
    optimiser = torch.optim.Adam([queries_QN, documents_KN], lr=learning_rate)
    for _ in range(steps):
        optimiser.zero_grad()
        loss(queries_QN @ documents_KN.T, order_QK).backward()
        optimiser.step()
    given_QK = (queries_QN @ documents_KN.T).argsort(dim=1, descending=True)
    return (given_QK == order_QK).all(dim=1).double().mean().item()
