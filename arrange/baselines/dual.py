"""The dual encoder: a vector for the query and one for every document, ranked by their inner product.

Source: arXiv 2601.05588, a baseline there, with a free table of document vectors. D documents, N numbers of a vector.
"""

from collections.abc import Callable, Sequence

import polars as pl
from torch import Tensor, nn

from arrange.baselines.fitting import FitArguments, List, fit, order, padded_lists
from arrange.baselines.scores import Rows, Scores, rank
from arrange.models.encoders import Encoder


class DualEncoder(nn.Module):
    """An encoder of queries and a table of document vectors. Training changes both.

    table_DN: the initial vectors, random (`encoders.free_vectors`) or the encoder's vectors of the documents' texts.
    With the latter the model can rank without training.
    """

    def __init__(self, encoder: Encoder, table_DN: Tensor, temperature: float = 0.05) -> None:
        super().__init__()
        self.encoder = encoder
        self.table_DN = nn.Parameter(table_DN.clone())
        self.temperature = temperature

    def forward(self, rows: Tensor, weights: Tensor, **query: Tensor) -> dict[str, Tensor]:
        scores_BD = self.encoder(**query) @ self.table_DN.T
        return {"loss": weighted_softmax(scores_BD / self.temperature, rows, weights)}


def weighted_softmax(scores_BD: Tensor, rows_BK: Tensor, weights_BK: Tensor) -> Tensor:
    """The mean over queries of -sum_k w_k log softmax(scores)[row_k]; padding has weight 0.

    With weights that sum to 1 it is lowest where the softmax over all documents equals them. With w = r^-alpha,
    normalised, it is the counterpart of the ranker's loss `item`.
    """
    log_BK = scores_BD.log_softmax(dim=1).gather(1, rows_BK)
    return -(weights_BK * log_BK).sum(dim=1).mean()


def train(
    model: DualEncoder,
    prompts: Sequence[Sequence[int]],
    lists: Sequence[List],
    arguments: FitArguments,
    progress: Callable[[int], object] = lambda step: None,
) -> list[float]:
    """Train on queries (`prompts[q]`: token ids) and their lists: (rows_D, weights_D), the weights summing to 1.

    Returns the loss of each step. Other arguments and errors as `fit`.
    """

    def collate(queries: list[int]) -> dict[str, Tensor]:
        rows_BK, weights_BK = padded_lists([lists[q] for q in queries])
        return {"rows": rows_BK, "weights": weights_BK, **model.encoder.batch([prompts[q] for q in queries])}

    return fit(model, order(len(prompts), arguments), collate, arguments, progress)


def search(
    model: DualEncoder,
    query_ids: Sequence[str],
    prompts: Sequence[Sequence[int]],
    doc_ids: Sequence[str],
    *,
    candidates: pl.DataFrame | None = None,
    depth: int = 100,
) -> pl.DataFrame:
    """The run by inner product; `doc_ids` names the rows of the table. Other arguments as `scores.rank`."""
    vectors_QN = model.encoder.vectors(prompts).cpu().numpy()
    table_DN = model.table_DN.detach().cpu().numpy()

    def score(query: int, rows_K: Rows) -> Scores:
        return table_DN[rows_K] @ vectors_QN[query]

    return rank(query_ids, doc_ids, score, candidates=candidates, depth=depth)
