"""What rankers could reach at most on a data set's split, as a table: python -m docs.ceilings wordnet

It reads data/<data> and runs/<data> of this checkout. Each row is an oracle: it knows the true documents of a query,
and is kept from one thing that a ranker may be kept from too.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import polars as pl

from arrange.data import tables
from arrange.errors import UserError
from arrange.evaluation import measures, runs
from arrange.formats import markdown

SHOWN = ("nDCG@10", "overlap@1", "overlap@3", "R@10")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="an entry of `datasets` in params.yaml, after `make run`")
    try:
        sys.stdout.write(f"{table(parser.parse_args().data)}\n")
    except UserError as error:
        sys.exit(str(error))


def table(data: str) -> str:
    """The oracles of a data set and of its runs, and what they reach on the test queries."""
    dataset = tables.read(Path("data", data), splits=tables.SPLITS)
    by_split = dataset.qrels.drop_nulls("rank").join(dataset.queries, on="query_id").partition_by("split", as_dict=True)
    train, test = (by_split[split,].select("query_id", "doc_id", "rank", "gain") for split in ("train", "test"))
    oracles = ceilings(train, test)
    for folder in sorted(Path("runs", data).iterdir()):
        found = pl.read_parquet(folder / "run.parquet")
        for depth in (10, 50):
            oracles[f"the best order of the first {depth} of {folder.name}"] = best_order(found, test, depth)
    rows = [[name, *means(run, test)] for name, run in oracles.items()]
    return markdown(["oracle", *SHOWN], rows)


def ceilings(train: pl.DataFrame, test: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Oracles by what they do, as runs. train, test: query_id, doc_id, rank (1 is best) and gain of true documents."""
    first = train.filter(rank=1)
    return {
        "the true order of all documents that any training list has": as_run(test.join(train, on="doc_id", how="semi")),
        "of documents that are first in a training list": as_run(test.join(first, on="doc_id", how="semi")),
        "of all documents, the best one last": as_run(
            test.with_columns(rank=pl.when(pl.col("rank") > 1).then("rank").otherwise(pl.col("rank").max() + 1))
        ),
        "the training list that suits the query best": best_lists(train, test),
    }


def as_run(ranked: pl.DataFrame) -> pl.DataFrame:
    """Documents in the order of their ranks, as a run."""
    scores = ranked.select("query_id", "doc_id", score=-pl.col("rank").cast(pl.Float64))
    return runs.from_scores(scores, depth=len(scores))


def best_lists(train: pl.DataFrame, test: pl.DataFrame) -> pl.DataFrame:
    """Of all training lists the one with the highest discounted gain, for each query: the best that copying can do."""
    lists = train.sort("query_id", "rank").group_by("query_id", maintain_order=True).agg("doc_id")["doc_id"].to_list()
    lists = list(dict.fromkeys(map(tuple, lists)))
    parts = []
    for (query_id,), true in test.group_by("query_id", maintain_order=True):
        gains = dict(true.select("doc_id", "gain").rows())
        best = max(lists, key=lambda doc_ids: discounted(doc_ids, gains))
        parts.append(pl.DataFrame({"query_id": query_id, "doc_id": best, "rank": np.arange(1, len(best) + 1)}))
    return as_run(pl.concat(parts))


def discounted(doc_ids: tuple[str, ...], gains: dict[str, int]) -> float:
    """The discounted gain of the first ten documents."""
    return sum(gains.get(doc_id, 0) / np.log2(place + 2) for place, doc_id in enumerate(doc_ids[: measures.DEPTH]))


def best_order(run: pl.DataFrame, test: pl.DataFrame, depth: int) -> pl.DataFrame:
    """The true documents among a run's first `depth`, in their true order."""
    found = run.filter(pl.col("rank") <= depth).select("query_id", "doc_id")
    return as_run(test.join(found, on=["query_id", "doc_id"]))


def means(run: pl.DataFrame, test: pl.DataFrame) -> list[str]:
    """The means over the test queries, as text."""
    return [f"{value:.3f}" for value in measures.evaluate(run, test).select(pl.mean(*SHOWN)).row(0)]


if __name__ == "__main__":
    main()
