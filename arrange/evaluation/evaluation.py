"""All that is measured of the runs of one data set, and how it is written.

A system is one entry of the rankers, baselines or controls, or several that differ in their seed: `systems` is a
mapping from a system's name to its entries and their seeds. An entry's runs are in a folder of its name: run.parquet
ranks the whole corpus (or the candidates in the prompt), judged.parquet each query's judged documents alone.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import polars as pl

from arrange.data.tables import GROUPS, Dataset
from arrange.evaluation import excerpts, measures, prior, runs, statistics
from arrange.evaluation.statistics import Metrics
from arrange.files import replacing

Systems = Mapping[str, Mapping[str, int]]  # system -> entry -> seed
SEEN = "best documents in training lists"
GIVEN_THE_SET = ("random", "root_first")  # controls that order the true documents
BM25 = "bm25"  # what search engines have: every system is compared with it
EXCERPTS = 20  # queries whose rankings are kept to be looked at
GROUPED = pl.Schema(
    dict.fromkeys(("system", "grouping", "group"), pl.String())
    | dict.fromkeys(("mean", "low", "high"), pl.Float64())
    | {"queries": pl.Int64()}
)


@dataclass(frozen=True)
class Evaluation:
    """The results of one data set.

    metrics: mean, interval and spread of every measure of every system, priors included.
    judged: the same for the rankings of the judged documents alone, without priors.
    per_query: system, seed, query_id and a column per measure.
    differences: every system against the reference (`statistics.differences`); empty if there is no such system.
    against_bm25: the same against BM25.
    groups: nDCG@10 by kind of query, and by whether training has seen its documents: system, grouping, group, mean,
    low, high, queries.
    excerpts: what the systems rank first for a few queries (`arrange.evaluation.excerpts`).
    """

    metrics: Metrics
    judged: Metrics
    per_query: pl.DataFrame
    differences: pl.DataFrame
    against_bm25: pl.DataFrame
    groups: pl.DataFrame
    excerpts: pl.DataFrame

    def write(self, folder: Path) -> None:
        """Write each field as a file of `folder`: a table as parquet, the rest as JSON."""
        for name, value in vars(self).items():
            suffix = "parquet" if isinstance(value, pl.DataFrame) else "json"
            with replacing(folder / f"{name}.{suffix}") as part:
                if isinstance(value, pl.DataFrame):
                    value.write_parquet(part)
                else:
                    part.write_text(json.dumps(value, indent=1))


def evaluate(
    systems: Systems,
    folder: Path,
    dataset: Dataset,
    groups: pl.DataFrame,
    train_qrels: pl.DataFrame,
    *,
    reference: str,
    draws: int,
    seed: int,
) -> Evaluation:
    """Measure all systems of a data set whose runs are in `folder`.

    `dataset` has the queries that were ranked. `groups` says of which kinds they are (`tables.read_groups`).
    `reference` is the system that the others are tested against. `draws` and `seed`: see `statistics`.
    Where no query's true documents differ in rank, the controls that are given them know the answer: they are left out.
    """
    if one_grade(dataset.qrels):
        systems = {system: entries for system, entries in systems.items() if system not in GIVEN_THE_SET}
    clusters = measures.nearest_documents(dataset.qrels)
    groups = groups.join(clusters, on="query_id", how="semi")
    resampled = {"clusters": clusters, "draws": draws, "seed": seed}
    per_query = measured(systems, folder, dataset.qrels, "run")
    metrics = summaries(per_query, resampled)
    priors = summaries(with_priors(systems, folder, dataset.qrels, train_qrels), resampled)
    chosen_by = reference if reference in systems else next(iter(systems))
    return Evaluation(
        metrics={system: metrics[system] | priors[system] for system in systems},
        judged=summaries(measured(systems, folder, dataset.qrels, "judged"), resampled),
        per_query=per_query,
        differences=differences(per_query, reference, resampled),
        against_bm25=differences(per_query, BM25, resampled),
        groups=by_group(per_query, pl.concat([groups.select(*GROUPS), seen(dataset.qrels, train_qrels)]), resampled),
        excerpts=looked_at(systems, folder, dataset, excerpts.choose(quality(per_query, chosen_by), groups, EXCERPTS)),
    )


def seen(qrels: pl.DataFrame, train_qrels: pl.DataFrame) -> pl.DataFrame:
    """Queries by how many of their best documents (of rank 1) a training list has: grouping, group, query_id."""
    known = pl.col("doc_id").is_in(train_qrels.drop_nulls("rank")["doc_id"].unique().implode())
    group = pl.when(known.all()).then(pl.lit("all")).when(known.any()).then(pl.lit("some")).otherwise(pl.lit("none"))
    best = qrels.filter(pl.col("rank") == 1).group_by("query_id", maintain_order=True).agg(group.alias("group"))
    return best.select(pl.lit(SEEN).alias("grouping"), "group", "query_id")


def one_grade(qrels: pl.DataFrame) -> bool:
    """Whether all true documents of each query are of one rank: then any order of them is a perfect one."""
    return qrels["rank"].max() == 1


def measured(systems: Systems, folder: Path, qrels: pl.DataFrame, file: Literal["run", "judged"]) -> pl.DataFrame:
    """All measures of all runs: system, seed, query_id and a column per measure."""
    return _of_each_run(systems, folder, file, partial(measures.evaluate, qrels=qrels))


def with_priors(systems: Systems, folder: Path, qrels: pl.DataFrame, train_qrels: pl.DataFrame) -> pl.DataFrame:
    """The priors of all runs: system, seed, query_id, prior, prior_tau_b."""
    return _of_each_run(systems, folder, "run", partial(prior.per_query, qrels=qrels, train_qrels=train_qrels))


def _of_each_run(systems: Systems, folder: Path, file: str, compute: partial[pl.DataFrame]) -> pl.DataFrame:
    tables = []
    for system, entries in systems.items():
        for entry, seed in entries.items():
            keys = pl.lit(system).alias("system"), pl.lit(seed, pl.Int64).alias("seed")
            tables.append(compute(runs.read_run(folder / entry / f"{file}.parquet")).select(*keys, pl.all()))
    return pl.concat(tables)


def summaries(per_query: pl.DataFrame, resampled: Mapping[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """Mean, interval and spread of every measure of every system."""
    return {
        system: {row["measure"]: row for row in statistics.summary(part, **resampled).rows(named=True)}
        for system, part in _by_system(per_query).items()
    }


def by_group(per_query: pl.DataFrame, groups: pl.DataFrame, resampled: Mapping[str, Any]) -> pl.DataFrame:
    """nDCG@10 of each system within each group of queries: GROUPED."""
    tables = [pl.DataFrame(schema=GROUPED)]
    for system, part in _by_system(per_query.select("system", "seed", "query_id", "nDCG@10")).items():
        for (grouping,), of_grouping in groups.group_by("grouping", maintain_order=True):
            means = statistics.by_group(part, of_grouping.select("query_id", "group"), **resampled)
            named = means.with_columns(pl.lit(system).alias("system"), pl.lit(grouping).alias("grouping"))
            tables.append(named.select(list(GROUPED)).cast(GROUPED))
    return pl.concat(tables)


def differences(per_query: pl.DataFrame, reference: str, resampled: Mapping[str, Any]) -> pl.DataFrame:
    """Every system against the reference; an empty table where the data set has no such system."""
    if reference not in per_query["system"]:
        return pl.DataFrame(schema=statistics.DIFFERENCES)
    return statistics.differences(per_query, reference, **resampled)


def quality(per_query: pl.DataFrame, system: str) -> pl.DataFrame:
    """nDCG@10 of the first seed of a system, by which the queries of the excerpts are chosen: query_id, quality."""
    of_system = per_query.filter(pl.col("system") == system)
    return of_system.filter(pl.col("seed") == pl.col("seed").min()).select("query_id", quality="nDCG@10")


def looked_at(systems: Systems, folder: Path, dataset: Dataset, query_ids: list[str]) -> pl.DataFrame:
    """The true lists of these queries, and what the first seed of each system ranks first for them."""
    tables = [excerpts.excerpt(None, excerpts.truth(dataset.qrels), dataset, query_ids)]
    for system, entries in systems.items():
        run = runs.read_run(folder / min(entries, key=entries.__getitem__) / "run.parquet")
        tables.append(excerpts.excerpt(system, run.filter(pl.col("rank") <= excerpts.DEPTH), dataset, query_ids))
    return pl.concat(tables)


def _by_system(per_query: pl.DataFrame) -> dict[str, pl.DataFrame]:
    parts = per_query.partition_by("system", as_dict=True, maintain_order=True, include_key=False)
    return {str(system): part for (system,), part in parts.items()}
