"""First stages: the documents that cheap systems find for a query, for a ranker to choose from.

Rankers that are trained on a first stage need its documents for the training queries too. There the vote of the
neighbours must not know the answer: a training query is no neighbour of its own.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import polars as pl

from arrange.baselines import bm25
from arrange.baselines.controls import neighbours
from arrange.baselines.fusion import reciprocal_rank
from arrange.baselines.scores import rank
from arrange.baselines.settings import Apart
from arrange.data.tables import Dataset
from arrange.models import encoders

MAX_TOKENS = 64  # of a text that an encoder reads
K = 1  # of the reciprocal ranks: few documents of each system, of which the first says the most


def candidates(
    dataset: Dataset,
    queries: pl.DataFrame,
    depths: Mapping[str, int],
    voters: int,
    apart: Apart,
    progress: Callable[[int], object] = lambda done: None,
) -> pl.DataFrame:
    """A run with the first documents of each system for some queries of a data set: best reciprocal ranks first.

    depths: how many documents `bm25`, `neighbours` and sentence encoders (folders of base models) give.
    voters: neighbours that vote. apart: which training queries are no neighbours of a training query; see
    `controls.neighbours`.
    """
    train = dataset.queries.filter(split="train")
    systems: dict[str, Callable[[], pl.DataFrame]] = {
        "bm25": lambda: bm25.search(queries, dataset.documents),
        "neighbours": lambda: neighbours(
            train, dataset.qrels.join(train, on="query_id", how="semi"), queries, voters, apart=apart
        ),
    }
    runs = []
    for name, depth in depths.items():
        run = systems.get(name, partial(encoded, dataset, queries, Path(name), progress))()
        runs.append(run.filter(pl.col("rank") <= depth))
    return reciprocal_rank(runs, k=K)


def encoded(dataset: Dataset, queries: pl.DataFrame, folder: Path, progress: Callable[[int], object]) -> pl.DataFrame:
    """The run of a sentence encoder by the cosine of its vectors."""
    tokenizer, encoder = encoders.by_name(str(folder))
    document_tokens, query_tokens = (
        encoders.encode(tokenizer, table["text"].to_list(), MAX_TOKENS) for table in (dataset.documents, queries)
    )
    table_DN = encoder.vectors(document_tokens, progress=progress).numpy()
    vectors_QN = encoder.vectors(query_tokens).numpy()
    query_ids, doc_ids = queries["query_id"].to_list(), dataset.documents["doc_id"].to_list()
    return rank(query_ids, doc_ids, lambda query, rows_K: table_DN[rows_K] @ vectors_QN[query])
