"""First stages: the documents that cheap systems find for a query, in a learned order, for a ranker to choose from.

Rankers that are trained on a first stage need its documents for the training queries too. There the vote of the
neighbours must not know the answer: a training query is no neighbour of its own.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl

from arrange.baselines import bm25, learned
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
    """A run with the first documents of each system for some queries of a data set, in an order that is learned.

    The data set's training queries teach it (`arrange.baselines.learned`); where `queries` has some of these, each is
    ranked by what others taught. Too few are no teachers: then reciprocal ranks order.
    depths: how many documents `bm25`, `neighbours` and sentence encoders (folders of base models) give.
    voters: neighbours that vote. apart: which training queries are no neighbours of a training query; see
    `controls.neighbours`.
    """
    train = dataset.queries.filter(split="train")
    qrels = dataset.qrels.join(train, on="query_id", how="semi")
    found = [_first(name, depth, dataset, qrels, voters, apart, progress) for name, depth in depths.items()]
    table = learned.features(found)
    taught = table.join(train, on="query_id", how="semi", maintain_order="left")
    asked = table.join(queries, on="query_id", how="semi", maintain_order="left")
    if not learned.enough(taught, qrels):
        return reciprocal_rank([run.join(queries, on="query_id", how="semi") for run in found], k=K)
    others = asked.join(train, on="query_id", how="anti", maintain_order="left")
    run = learned.rank_by(learned.learn(taught, qrels), others)
    if len(others) == len(asked):
        return run
    crossed = learned.cross_fitted(taught, qrels).join(queries, on="query_id", how="semi")
    return pl.concat([run, crossed]).sort("query_id", "rank")


def _first(
    name: str,
    depth: int,
    dataset: Dataset,
    train_qrels: pl.DataFrame,
    voters: int,
    apart: Apart,
    progress: Callable[[int], object],
) -> pl.DataFrame:
    """The first `depth` documents that one system finds for each query."""
    queries = dataset.queries
    if name == "bm25":
        run = bm25.search(queries, dataset.documents)
    elif name == "neighbours":
        run = neighbours(queries.filter(split="train"), train_qrels, queries, voters, apart=apart)
    else:
        run = encoded(dataset, queries, Path(name), progress)
    return run.filter(pl.col("rank") <= depth)


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
