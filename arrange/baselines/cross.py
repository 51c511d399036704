"""The cross encoder of arXiv 2601.05588: an MLP over a query's vector and a document's, one score per pair.

B queries of a batch, K documents of each: its list, padded, then negatives; N numbers of a vector, D documents.
"""

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from arrange.baselines.fitting import FitArguments, List, fit, order, padded_lists
from arrange.baselines.scores import Rows, Scores, rank
from arrange.models.encoders import Encoder

Example = tuple[int, Rows]  # a query and the documents drawn as its negatives


class CrossEncoder(nn.Module):
    """An MLP over a query's vector and a document's: 3 hidden layers as wide as both, ReLU, one score.

    table_DN: the initial document vectors, which training changes too; they are as wide as the encoder's.
    """

    def __init__(self, encoder: Encoder, table_DN: Tensor, seed: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.table_DN = nn.Parameter(table_DN.clone())
        both = 2 * encoder.width
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            hidden = [layer for _ in range(3) for layer in (nn.Linear(both, both), nn.ReLU())]
            self.mlp = nn.Sequential(*hidden, nn.Linear(both, 1))

    def scores(self, query_BN: Tensor, document_BKN: Tensor) -> Tensor:
        """The scores of each query's documents, B x K."""
        query_BKN = query_BN[:, None, :].expand_as(document_BKN)
        return self.mlp(torch.cat([query_BKN, document_BKN], dim=2)).squeeze(2)

    def forward(self, rows: Tensor, positive: Tensor, negative: Tensor, **query: Tensor) -> dict[str, Tensor]:
        scores_BK = self.scores(self.encoder(**query), self.table_DN[rows])
        return {"loss": sigmoid_loss(scores_BK, positive, negative)}


def sigmoid_loss(scores: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    """The mean over queries of sum_k positive_k * -log sigmoid(score_k) + negative_k * -log(1 - sigmoid(score_k)).

    All three have one shape. `positive` holds the weights w of a list, which sum to 1 within a query. `negative` is 1
    for each of M negatives, 0 elsewhere. Negatives are drawn uniformly from all D documents, the list's included. So
    the optimum is score = ln(w D / M) (noise-contrastive estimation, Gutmann and Hyvarinen 2010), which orders the
    list by its weights. If negatives were drawn only outside the list, the optimum of every document in it would be
    +infinity, and no order could be learnt.
    """
    return (positive * softplus(-scores) + negative * softplus(scores)).sum() / positive.sum()


def train(
    model: CrossEncoder,
    prompts: Sequence[Sequence[int]],
    lists: Sequence[List],
    arguments: FitArguments,
    *,
    negatives: int,
    progress: Callable[[int], object] = lambda step: None,
) -> list[float]:
    """Train on queries (`prompts[q]`: token ids), their lists (rows_D, weights_D) and random negatives.

    negatives: documents drawn for each query. Returns the loss of each step. Other arguments and errors as `fit`.
    """

    def collate(batch: list[Example]) -> dict[str, Tensor]:
        return {**with_negatives(lists, batch), **model.encoder.batch([prompts[q] for q, _ in batch])}

    return fit(model, examples(len(lists), len(model.table_DN), negatives, arguments), collate, arguments, progress)


def search(
    model: CrossEncoder,
    query_ids: Sequence[str],
    prompts: Sequence[Sequence[int]],
    doc_ids: Sequence[str],
    *,
    candidates: pl.DataFrame | None = None,
    depth: int = 100,
) -> pl.DataFrame:
    """The run by the MLP's score; `doc_ids` names the rows of the table. Other arguments as `scores.rank`."""
    vectors_QN = model.encoder.vectors(prompts)

    @torch.no_grad()
    def score(query: int, rows_K: Rows) -> Scores:
        document_1KN = model.table_DN[torch.from_numpy(rows_K).to(vectors_QN.device)][None]
        return model.scores(vectors_QN[query, None], document_1KN)[0].cpu().numpy()

    return rank(query_ids, doc_ids, score, candidates=candidates, depth=depth)


def examples(queries: int, documents: int, negatives: int, arguments: FitArguments) -> list[Example]:
    """A query and its negatives for every example of the training, in order."""
    seen = order(queries, arguments)
    drawn_NM = np.random.default_rng([arguments.seed, 1]).integers(documents, size=(len(seen), negatives))
    return list(zip(seen, drawn_NM, strict=True))


def with_negatives(lists: Sequence[List], batch: Sequence[Example]) -> dict[str, Tensor]:
    """rows, positive and negative of a batch, each B x K: the lists, padded, then the negatives."""
    rows_BK, positive_BK = padded_lists([lists[query] for query, _ in batch])
    drawn_BM = torch.from_numpy(np.stack([drawn for _, drawn in batch]))
    ones_BM = torch.ones(drawn_BM.shape)
    return {
        "rows": torch.cat([rows_BK, drawn_BM], dim=1),
        "positive": torch.cat([positive_BK, torch.zeros_like(ones_BM)], dim=1),
        "negative": torch.cat([torch.zeros_like(positive_BK), ones_BM], dim=1),
    }
