"""From prompts, docIDs and weights to the table of training sequences, and from its rows to batches.

A loss sums over all documents of a query. Here each training sequence holds one document, drawn with
its weight as probability: the expected gradient is that of the whole loss, at the cost of one document.
"""

from collections.abc import Mapping, Sequence

import datasets
import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from arrange.ranking.model import IGNORED

Tokens = Sequence[Sequence[int]]
List = tuple[NDArray[np.int64], NDArray[np.float64]]


def ranked_lists(query_ids: pl.Series, qrels: pl.DataFrame, doc_ids: pl.Series) -> list[List]:
    """The judged list of each query, as rows of the document table and ranks.

    Returns for each of `query_ids`, in that order, (rows_D, ranks_D); the rank of a judged negative is nan.
    Every query must have judgements, and every judged document be among `doc_ids`.
    """
    rows = pl.DataFrame({"doc_id": doc_ids}).with_row_index("row")
    lists = (
        pl.DataFrame({"query_id": query_ids})
        .join(qrels, on="query_id", how="left", maintain_order="left_right")
        .join(rows, on="doc_id", how="left", maintain_order="left")
        .group_by("query_id", maintain_order=True)
        .agg("row", "rank")
    )
    return [
        (row.to_numpy().astype(np.int64), rank.cast(pl.Float64).fill_null(np.nan).to_numpy())
        for row, rank in zip(lists["row"], lists["rank"], strict=True)
    ]


def draw(weights: Sequence[NDArray[np.float64]], count: int, seed: int) -> tuple[NDArray, NDArray]:
    """Draw `count` pairs of a query and one document of its list.

    Queries come in epochs: each epoch is a fresh permutation of all queries. The document is drawn anew
    each time, with probability equal to its weight. `weights[q]` (shape D_q) sums to 1.

    Returns query_N and position_N, the document's position in the query's list. The same seed gives the
    same pairs, and a smaller `count` gives a prefix of them where the epochs begin alike.
    """
    rng = np.random.default_rng(seed)
    epochs = -(-count // len(weights))
    query_N = np.concatenate([rng.permutation(len(weights)) for _ in range(epochs)])[:count]
    offsets_Q1 = np.concatenate([[0], np.cumsum([len(w) for w in weights])])
    # One sorted array for all queries: query q owns the interval from q to q + 1.
    edges = np.concatenate([q + np.cumsum(w) / np.sum(w) for q, w in enumerate(weights)])
    point_N = np.minimum(query_N + rng.random(count), np.nextafter(query_N + 1.0, 0.0))
    # side="right" passes over documents of weight 0: their interval is empty.
    return query_N, np.searchsorted(edges, point_N, side="right") - offsets_Q1[query_N]


def training_examples(
    prompts: Tokens,
    docid_tokens: Tokens,
    lists: Sequence[List],
    count: int,
    seed: int,
) -> datasets.Dataset:
    """The table of training sequences, in the order in which they are to be seen.

    `prompts[q]`: token ids that end with the token that begins a docID; `docid_tokens[row]`: token ids of
    the docID of a document row, end token included; `lists[q]`: (rows_D, weights_D), weights summing to 1.

    Returns `count` rows: `input_ids` (prompt and docID), `labels` (the same, -100 on the prompt), `query`
    (row of the prompt).
    """
    query_N, position_N = draw([weights for _, weights in lists], count, seed)
    pairs = [(q, lists[q][0][p]) for q, p in zip(query_N.tolist(), position_N.tolist(), strict=True)]
    return _table(prompts, docid_tokens, pairs)


def best_examples(prompts: Tokens, docid_tokens: Tokens, lists: Sequence[List]) -> datasets.Dataset:
    """One sequence per query, with its best document: what the validation loss is measured on.

    As `training_examples`, but `lists[q]` is (rows_D, ranks_D), and of tied documents the first is taken.
    """
    pairs = [(q, rows[np.nanargmin(ranks)]) for q, (rows, ranks) in enumerate(lists)]
    return _table(prompts, docid_tokens, pairs)


def _table(prompts: Tokens, docid_tokens: Tokens, pairs: Sequence[tuple[int, int]]) -> datasets.Dataset:
    tokens = datasets.List(datasets.Value("int32"))
    return datasets.Dataset.from_dict(
        {
            "input_ids": [[*prompts[q], *docid_tokens[row]] for q, row in pairs],
            "labels": [[IGNORED] * len(prompts[q]) + [*docid_tokens[row]] for q, row in pairs],
            "query": [q for q, _ in pairs],
        },
        features=datasets.Features(input_ids=tokens, labels=tokens, query=datasets.Value("int32")),
    )


def collate(rows: Sequence[Mapping[str, Sequence[int]]], pad_token_id: int) -> dict[str, torch.Tensor]:
    """Rows of a training table as one batch, padded on the right to the longest row.

    Returns input_ids_BL, labels_BL (-100 where padded) and attention_mask_BL (0 where padded), all int64.
    """
    longest = max(len(row["input_ids"]) for row in rows)

    def padded(lists: Sequence[Sequence[int]], filler: int) -> torch.Tensor:
        return torch.tensor([[*tokens, *[filler] * (longest - len(tokens))] for tokens in lists])

    return {
        "input_ids": padded([row["input_ids"] for row in rows], pad_token_id),
        "labels": padded([row["labels"] for row in rows], IGNORED),
        "attention_mask": padded([[1] * len(row["input_ids"]) for row in rows], 0),
    }
