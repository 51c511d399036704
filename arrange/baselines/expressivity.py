"""How many orders of k documents a dual encoder of n dimensions can give at all, and how many a trained one gives.

Each of k documents is a point in R^n, the same for all queries. A query is another point and ranks the documents by
inner product or by distance. Only some of the k! orders are the ranking of any query. A model that generates the
documents one after the other has no such limit: `generated_orders`. `python -m docs.expressivity` compares them.
"""

from itertools import permutations
from math import factorial, lgamma, log

import torch
from torch import Tensor, nn


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


def bound_of_orders(n: int, k: int) -> int:
    """k^(2n), or k! where that is less: the bound of arXiv 2601.05588, above both counts.

    >>> [bound_of_orders(n, 8) for n in (1, 2, 3)], orders_by_distance(2, 8), orders_by_inner_product(2, 8)
    ([64, 4096, 40320], 351, 56)
    """
    return min(k ** (2 * n), factorial(k))


def plackett_luce(scores_QK: Tensor, order_QK: Tensor) -> Tensor:
    """-log of the probability of this order, where documents are drawn by softmax one after the other."""
    ordered_QK = scores_QK.gather(1, order_QK)
    rest_QK = ordered_QK.flip(1).logcumsumexp(dim=1).flip(1)
    return (rest_QK - ordered_QK).sum(dim=1).mean()


def trained_orders(
    n: int,
    k: int,
    seed: int,
    steps: int = 500,
    learning_rate: float = 0.05,
    most: int = 5040,
) -> float:
    """The share of all k! orders that a dual encoder of n dimensions gives after training on every one of them.

    Each order is a query with a free vector, so only the dimension limits the fit. Trained by Adam with the
    Plackett-Luce loss, on all queries at once. The share is at most `orders_by_inner_product(n, k)` / k!. From k = 8 on
    a random sample of `most` orders stands for all of them.
    """
    generator = torch.Generator().manual_seed(seed)
    order_QK = torch.tensor(list(permutations(range(k))))
    if len(order_QK) > most:
        order_QK = order_QK[torch.randperm(len(order_QK), generator=generator)[:most]]
    queries_QN, documents_KN = (
        torch.randn(rows, n, generator=generator).requires_grad_() for rows in (len(order_QK), k)
    )
    optimiser = torch.optim.Adam([queries_QN, documents_KN], lr=learning_rate)
    for _ in range(steps):
        optimiser.zero_grad()
        plackett_luce(queries_QN @ documents_KN.T, order_QK).backward()
        optimiser.step()
    given_QK = (queries_QN @ documents_KN.T).argsort(dim=1, descending=True)
    return (given_QK == order_QK).all(dim=1).double().mean().item()


class Generator(nn.Module):
    """A small transformer that reads the place of each document and generates the documents, the first one first.

    The logits are inner products of the state with a vector per document, both of `dimensions` numbers, as in a dual
    encoder. Two are enough for all orders: each step needs one document on top, and points on a circle all have a
    direction in which they are.
    """

    def __init__(self, k: int, dimensions: int, width: int = 32) -> None:
        super().__init__()
        self.documents = nn.Embedding(k + 1, width)  # the last one begins
        self.places = nn.Embedding(2 * k, width)  # those said of documents, then those to be filled
        layer = nn.TransformerEncoderLayer(width, 4, 4 * width, dropout=0.0, batch_first=True, norm_first=True)
        self.body = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.down = nn.Linear(width, dimensions)
        self.vectors_KN = nn.Parameter(torch.randn(k, dimensions))

    def forward(self, order_QK: Tensor) -> Tensor:
        """Logits of the next document after each beginning of these orders: queries x places x documents."""
        count, k = order_QK.shape
        all_K = torch.arange(k)
        said = self.documents(all_K) + self.places(order_QK.argsort(dim=1))
        begin_Q1 = torch.full((count, 1), k)
        given = self.documents(torch.cat([begin_Q1, order_QK[:, :-1]], dim=1)) + self.places(k + all_K)
        causal = nn.Transformer.generate_square_subsequent_mask(2 * k)
        states = self.body(torch.cat([said, given], dim=1), mask=causal, is_causal=True)[:, k:]
        return self.down(states) @ self.vectors_KN.T


def generated_orders(
    k: int, seed: int, dimensions: int = 2, steps: int = 1000, batch: int = 128, learning_rate: float = 3e-3
) -> float:
    """The share of held-out orders that a `Generator` gives after training on the other half of all k! orders.

    An order counts where every next document is the right one after the right ones before it, so that greedy
    generation gives it. At most 2,000 held-out orders are looked at.
    """
    torch.manual_seed(seed)
    orders_OK = torch.tensor(list(permutations(range(k))))[torch.randperm(factorial(k))]
    train_OK, held_out_OK = orders_OK.chunk(2)
    model = Generator(k, dimensions)
    optimiser = torch.optim.AdamW(model.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, learning_rate, total_steps=steps, pct_start=0.1)
    for _ in range(steps):
        rows = train_OK[torch.randint(len(train_OK), (batch,))]
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(rows).flatten(0, 1), rows.flatten()).backward()
        optimiser.step()
        schedule.step()
    with torch.inference_mode():
        rows = held_out_OK[:2000]
        return (model(rows).argmax(dim=2) == rows).all(dim=1).double().mean().item()
