"""How the model of learned words is trained (`arrange.docids.lexical` says what it is), in GLEN's two phases.

1. From keywords: document and training query learn to pick the document's words of the highest TF-IDF weights.
2. By ranking: a document picks the words that it now thinks best. Its states at these are to agree with a query's of
   its own more than those of the other queries' documents do (pairwise loss), and the query is to pick its words
   (pointwise loss). So words become those that queries ask for. Documents that no query asks for go on learning their
   keywords; without that they would lose them.

B queries of a step, each with one of its documents. Other dimensions as there. This module imports torch.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, softplus

from arrange.docids.judged import Judged
from arrange.models.determinism import deterministic

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

HIDDEN = 64
BATCH = 64  # queries
RATE = 3e-3


class Picker(nn.Module):
    """The model. `in_documents_V`: the words that it may pick."""

    def __init__(self, words: int, in_documents_V: Tensor) -> None:
        super().__init__()
        vocabulary = len(in_documents_V)
        self.closed_V = ~in_documents_V
        self.embedding_VH = nn.Parameter(torch.randn(vocabulary, HIDDEN) / HIDDEN**0.5)
        self.previous_VH = nn.Parameter(torch.zeros(vocabulary, HIDDEN))
        self.place_NH = nn.Parameter(torch.zeros(words, HIDDEN))
        self.inner, self.outer = nn.Linear(HIDDEN, HIDDEN), nn.Linear(HIDDEN, HIDDEN)
        self.bias_V = nn.Parameter(torch.zeros(vocabulary))

    def hidden(self, weights_BV: Tensor, path_BN: Tensor) -> Tensor:
        """The state at each place, B x N x H, after the words before it; -1 is no word."""
        previous_BNH = self.previous_VH[path_BN.clamp(min=0)] * (path_BN >= 0)[:, :, None]
        before_BNH = previous_BNH.cumsum(dim=1) - previous_BNH
        x_BNH = (weights_BV @ self.embedding_VH)[:, None] + before_BNH + self.place_NH
        return x_BNH + self.outer(self.inner(x_BNH).relu())

    def scores(self, hidden_H: Tensor) -> Tensor:
        """Of every word in each state, .. x V; -inf for words that may not be picked."""
        return (hidden_H @ self.embedding_VH.T + self.bias_V).masked_fill(self.closed_V, -torch.inf)

    @torch.no_grad()
    def pick(self, weights_BV: Tensor) -> Tensor:
        """The best word at each place that isn't picked before, B x N."""
        path_BN = torch.full((len(weights_BV), len(self.place_NH)), -1)
        for place in range(len(self.place_NH)):
            scores_BV = self.scores(self.hidden(weights_BV, path_BN)[:, place])
            path_BN[:, place] = _without(scores_BV, path_BN[:, :place]).argmax(dim=1)
        return path_BN


class Pairs:
    """Queries and their documents. Each document is drawn equally often: some may be in the lists of all queries."""

    def __init__(self, judged: Judged) -> None:
        self.queries = len(judged.texts)
        self.sorted_P = np.sort(judged.document_P * self.queries + judged.query_P)
        document_P, query_P = np.divmod(self.sorted_P, self.queries)
        self.query_P = torch.from_numpy(query_P)
        self.document_C, self.first_C, self.count_C = (
            torch.from_numpy(part) for part in np.unique(document_P, return_index=True, return_counts=True)
        )

    def draw(self) -> tuple[Tensor, Tensor]:
        """Rows of queries and of documents, `BATCH` each."""
        drawn_B = torch.randint(len(self.document_C), (BATCH,))
        which_B = (torch.rand(BATCH) * self.count_C[drawn_B]).long()
        return self.query_P[self.first_C[drawn_B] + which_B], self.document_C[drawn_B]

    def contain(self, query_B: Tensor, document_B: Tensor) -> Tensor:
        """Whether each query has each document, B x B."""
        wanted_BB = (document_B * self.queries + query_B[:, None]).numpy()
        place_BB = np.searchsorted(self.sorted_P, wanted_BB).clip(max=len(self.sorted_P) - 1)
        return torch.from_numpy(self.sorted_P[place_BB] == wanted_BB)


def train(
    weights_DV: "csr_matrix",
    keywords_DN: NDArray[np.int64],
    weights_QV: "csr_matrix",
    judged: Judged | None,
    in_documents_V: NDArray[np.bool_],
    steps: int,
    seed: int,
) -> dict[str, NDArray]:
    """The weights by name; `steps` of each phase. Same arguments: same numbers, whatever the number of threads."""
    with deterministic(threads=1), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Picker(keywords_DN.shape[1], torch.from_numpy(in_documents_V))
        pairs = Pairs(judged) if judged else None
        target_DN = torch.from_numpy(keywords_DN)
        _steps(model, steps, lambda: _keyword_loss(model, weights_DV, target_DN, weights_QV, pairs))
        if pairs:
            unasked = torch.from_numpy(np.setdiff1d(np.arange(len(keywords_DN)), pairs.document_C))
            rank = partial(_ranking_loss, model, weights_DV, weights_QV, pairs)
            keep = partial(_documents_loss, model, weights_DV, target_DN, unasked)
            _steps(model, steps, lambda: rank() + keep())
    names = {"inner.weight": "inner_HH", "inner.bias": "inner_H", "outer.weight": "outer_HH", "outer.bias": "outer_H"}
    return {names.get(name, name): weight.detach().numpy() for name, weight in model.named_parameters()}


def _steps(model: Picker, steps: int, loss: Callable[[], Tensor]) -> None:
    """So many steps of Adam, whose rate falls to 0 along a line."""
    adam = torch.optim.Adam(model.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.LinearLR(adam, 1.0, 0.0, total_iters=max(steps, 1))
    for _ in range(steps):
        adam.zero_grad()
        loss().backward()
        adam.step()
        schedule.step()


def _keyword_loss(
    model: Picker, weights_DV: "csr_matrix", target_DN: Tensor, weights_QV: "csr_matrix", pairs: Pairs | None
) -> Tensor:
    """The cross-entropy of documents' keywords, given the documents, and given queries of theirs."""
    loss = _documents_loss(model, weights_DV, target_DN, torch.arange(len(target_DN)))
    if pairs is None:
        return loss
    query_B, document_B = pairs.draw()
    return loss + _cross_entropy(model, _dense(weights_QV, query_B), target_DN[document_B])


def _documents_loss(model: Picker, weights_DV: "csr_matrix", target_DN: Tensor, rows_R: Tensor) -> Tensor:
    """The cross-entropy of the keywords of documents drawn from `rows_R`; 0 without any."""
    if not len(rows_R):
        return torch.zeros(())
    rows = rows_R[torch.randint(len(rows_R), (BATCH,))]
    return _cross_entropy(model, _dense(weights_DV, rows), target_DN[rows])


def _cross_entropy(model: Picker, weights_BV: Tensor, path_BN: Tensor) -> Tensor:
    scores_BNV = model.scores(model.hidden(weights_BV, path_BN))
    count = (path_BN >= 0).sum().clamp(min=1)  # a document without a word has no keyword
    return cross_entropy(scores_BNV.flatten(0, 1), path_BN.flatten(), ignore_index=-1, reduction="sum") / count


def _ranking_loss(model: Picker, weights_DV: "csr_matrix", weights_QV: "csr_matrix", pairs: Pairs) -> Tensor:
    """The pairwise and the pointwise loss of queries and documents drawn from the pairs."""
    query_B, document_B = pairs.draw()
    of_queries_BV, of_documents_BV = _dense(weights_QV, query_B), _dense(weights_DV, document_B)
    path_BN = model.pick(of_documents_BV)
    queries_BNH, documents_BNH = model.hidden(of_queries_BV, path_BN), model.hidden(of_documents_BV, path_BN)
    agreement_BB = torch.einsum("inh,jnh->ij", queries_BNH, documents_BNH)
    wrong_BB = ~pairs.contain(query_B, document_B)
    return pairwise(agreement_BB, wrong_BB) + _cross_entropy(model, of_queries_BV, path_BN)


def pairwise(agreement_BB: Tensor, wrong_BB: Tensor) -> Tensor:
    """The mean of log(1 + exp(wrong - right)): row i's right document is i, `wrong_BB` marks the wrong ones."""
    behind_BB = softplus(agreement_BB - agreement_BB.diagonal()[:, None])
    return (behind_BB * wrong_BB).sum() / wrong_BB.sum().clamp(min=1)


def _without(scores_BV: Tensor, taken_BN: Tensor) -> Tensor:
    return scores_BV.scatter(1, taken_BN, -torch.inf)


def _dense(weights_RV: "csr_matrix", rows: Tensor) -> Tensor:
    return torch.from_numpy(weights_RV[rows.numpy()].toarray())
