"""What a data set can teach: how many queries its splits have, and how much of the truth training shows.

A ranker that generates docIDs learns from training queries which documents there are: one that it never saw with a
query can hardly be generated.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from arrange.data.tables import SPLITS, Dataset, SplitName

FEW_QUERIES = {"train": 200, "validation": 20, "test": 50}
UNSEEN, NAMED = 0.3, 0.5  # shares beyond which a warning is due
DOES = {
    "train": "a ranker learns little from them",
    "validation": "they choose the checkpoint almost by chance",
    "test": "intervals will be wide",
}


@dataclass(frozen=True)
class Coverage:
    """Of one data set.

    queries: their number by split. documents: their number. named: the share of these that are true for a training
    query. unseen: of the true documents of the measured queries, the share that are true for no training query.
    split: of the measured queries.
    """

    queries: Mapping[str, int]
    documents: int
    named: float
    unseen: float
    split: SplitName


def coverage(dataset: Dataset, split: SplitName) -> Coverage:
    """What the training queries of a data set (with the queries of all splits) say of the documents of `split`."""
    true = dataset.qrels.drop_nulls("rank").join(dataset.queries.select("query_id", "split"), on="query_id")
    learnt = true.filter(pl.col("split") == "train")["doc_id"].unique()
    unseen = ~true.filter(pl.col("split") == split)["doc_id"].is_in(learnt.implode())
    return Coverage(
        queries={name: dataset.queries.filter(pl.col("split") == name).height for name in SPLITS},
        documents=dataset.documents.height,
        named=len(learnt) / max(dataset.documents.height, 1),
        unseen=float(unseen.mean() or 0.0),  # type: ignore[arg-type]
        split=split,
    )


def warnings(found: Coverage) -> list[str]:
    """Where the data are too few to learn from, and what to do; a sentence each.

    >>> rich = Coverage({"train": 900, "validation": 50, "test": 50}, 100, named=0.97, unseen=0.02, split="test")
    >>> warnings(rich)
    []
    """
    told = []
    for split, least in FEW_QUERIES.items():
        if 0 < found.queries[split] < least:
            what = f"only {found.queries[split]} {split} queries: {DOES[split]}"
            told.append(f"{what}; give {least} or more, or use cross-validation (datasets.<name>.folds)")
    if found.unseen > UNSEEN:
        what = f"{found.unseen:.0%} of the {found.split} queries' true documents are true for no training query"
        told.append(f"{what}: a ranker can hardly generate them; {REMEDY}")
    if found.named < NAMED:
        what = f"training queries name {found.named:.0%} of the {found.documents:,} documents"
        told.append(f"{what}: the others are learnt from their texts alone, or not at all; {REMEDY}")
    return told


REMEDY = (
    "give more training queries, let documents teach their own docIDs (finetune.augmented, docs/augmentation.md), or "
    "rerank what BM25 finds (section reranked) in place of searching all documents"
)
