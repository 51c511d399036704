"""First stages: the documents that cheap systems find for a query, in a learned order, for a ranker to choose from.

Rankers that are trained on a first stage need its documents for the training queries too. There the vote of the
neighbours must not know the answer: a training query is no neighbour of its own.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import polars as pl

from arrange.baselines import bm25, learned
from arrange.baselines.controls import neighbours
from arrange.baselines.fusion import reciprocal_rank
from arrange.baselines.matches import matches
from arrange.baselines.scores import rank
from arrange.baselines.settings import Apart
from arrange.data.tables import Dataset
from arrange.models import encoders

MAX_TOKENS = 64  # of a text that an encoder reads
TEACHERS = 1000  # more teach hardly more, and an encoder reads them all


def candidates(
    dataset: Dataset,
    queries: pl.DataFrame,
    names: Sequence[str],
    depth: int,
    voters: int,
    apart: Apart,
    progress: Callable[[int], object] = lambda done: None,
) -> pl.DataFrame:
    """A run with the first documents of each system for some queries of a data set, in an order that is learned.

    Training queries teach it (`arrange.baselines.learned`, with `matches` beside the systems' features): those among
    `queries`, each of which is ranked by what others taught; where there are none, a thousand. Where too few could
    teach, reciprocal ranks order.
    names: `bm25`, `neighbours` and sentence encoders (folders of base models); each gives `depth` documents.
    voters: neighbours that vote. apart: which training queries are no neighbours of a training query; see
    `controls.neighbours`.
    """
    train = dataset.queries.filter(split="train")
    asked_train = train.join(queries, on="query_id", how="semi")
    teachers = asked_train if len(asked_train) else train.sample(min(TEACHERS, len(train)), seed=0)
    others = queries.join(train, on="query_id", how="anti", maintain_order="left")
    qrels = dataset.qrels.join(train, on="query_id", how="semi")
    ranked = pl.concat([others, teachers])
    systems: dict[str, Callable[[], pl.DataFrame]] = {
        "bm25": lambda: bm25.search(ranked, dataset.documents),
        "neighbours": lambda: neighbours(train, qrels, ranked, voters, apart=apart),
    }
    found = []
    for name in names:
        run = systems.get(name, partial(encoded, dataset.documents, ranked, Path(name), progress))()
        found.append(run.filter(pl.col("rank") <= depth))
    table = learned.features(found)
    table = table.hstack(matches(table, ranked, dataset.documents))
    taught = table.join(teachers, on="query_id", how="semi", maintain_order="left")
    if not learned.enough(taught, qrels):
        return reciprocal_rank([run.join(queries, on="query_id", how="semi") for run in found], k=learned.K)
    asked = table.join(others, on="query_id", how="semi", maintain_order="left")
    run = learned.rank_by(learned.learn(taught, qrels), asked)
    return pl.concat([run, learned.cross_fitted(taught, qrels)]).sort("query_id", "rank") if len(asked_train) else run


def encoded(
    documents: pl.DataFrame, queries: pl.DataFrame, folder: Path, progress: Callable[[int], object]
) -> pl.DataFrame:
    """The run of a sentence encoder by the cosine of its vectors."""
    tokenizer, encoder = encoders.by_name(str(folder))
    document_tokens, query_tokens = (
        encoders.encode(tokenizer, table["text"].to_list(), MAX_TOKENS) for table in (documents, queries)
    )
    table_DN = encoder.vectors(document_tokens, progress=progress).numpy()
    vectors_QN = encoder.vectors(query_tokens).numpy()
    query_ids, doc_ids = queries["query_id"].to_list(), documents["doc_id"].to_list()
    return rank(query_ids, doc_ids, lambda query, rows_K: table_DN[rows_K] @ vectors_QN[query])
