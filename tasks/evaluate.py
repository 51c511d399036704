"""Stage `evaluate`: every run of a data set measured against the qrels of the split that the tables show."""

import json
from pathlib import Path

import polars as pl

from arrange.data import tables
from arrange.files import replacing
from arrange.ranking import controls, measures, runs, statistics
from tasks import params, stage
from tasks.settings import CONTROLS, systems

GROUPED = pl.Schema(
    dict.fromkeys(("system", "grouping", "group"), pl.String())
    | dict.fromkeys(("mean", "low", "high"), pl.Float64())
    | dict.fromkeys(("queries",), pl.Int64())
)


def evaluate(data: str) -> None:
    """runs/<data>, the qrels -> results/<data>/{per_query,differences,groups}.parquet, {metrics,judged}.json."""
    settings = params.read()
    how = {"draws": settings.evaluate.resamples, "seed": settings.evaluate.seed}
    qrels = tables.read(Path("data", data), splits=[settings.rank.split]).qrels
    train_qrels = tables.read(Path("data", data), splits=["train"]).qrels
    clusters = measures.nearest_documents(qrels)
    others = [name for name, baseline in settings.baselines.items() if baseline.data == data]
    seeds = systems(settings.rankers, data) | {
        name.removeprefix(f"{data}-"): {name: 0} for name in (*others, *CONTROLS)
    }
    per_query = pl.concat(measured(data, system, runs_of, qrels, "run") for system, runs_of in seeds.items())
    judged = pl.concat(measured(data, system, runs_of, qrels, "judged") for system, runs_of in seeds.items())
    metrics, given = summaries(per_query, clusters, how), summaries(judged, clusters, how)
    for system, runs_of in seeds.items():
        metrics[system]["prior"] = with_prior(data, runs_of, qrels, train_qrels, clusters, how)

    groupings = tables.read_groups(Path("data", data)).join(clusters, on="query_id", how="semi")
    grouped = [
        by_group(part, groupings, clusters, how) for part in per_query.partition_by("system", maintain_order=True)
    ]

    out = Path("results", data)
    with replacing(out / "per_query.parquet") as part:
        per_query.write_parquet(part)
    with replacing(out / "differences.parquet") as part:
        differences(per_query, settings.evaluate.reference, clusters, how).write_parquet(part)
    with replacing(out / "groups.parquet") as part:
        pl.concat(grouped).write_parquet(part)
    with replacing(out / "judged.json") as part:
        part.write_text(json.dumps(given, indent=1))
    prepared = Path("data", data, "preparation.json")
    with replacing(out / "preparation.json") as part:
        part.write_text(prepared.read_text() if prepared.exists() else "{}")  # from there the report can have it
    with replacing(out / "metrics.json") as part:
        part.write_text(json.dumps(metrics, indent=1))


def read(data: str, name: str, file: str = "run") -> pl.DataFrame:
    """A run of this data set: of the corpus, or of each query's judged documents alone."""
    return runs.read_run(Path("runs", data, name, f"{file}.parquet"))


def measured(data: str, system: str, runs_of: dict[str, int], qrels: pl.DataFrame, file: str) -> pl.DataFrame:
    """A row per query and seed of one system; `runs_of` has its runs' names and seeds."""
    tables = []
    for name, seed in runs_of.items():
        named = pl.lit(system).alias("system"), pl.lit(seed, pl.Int64).alias("seed")
        tables.append(measures.evaluate(read(data, name, file), qrels).select(*named, pl.all()))
    return pl.concat(tables)


def summaries(per_query: pl.DataFrame, clusters: pl.DataFrame, how: dict[str, int]) -> dict[str, dict[str, dict]]:
    """Mean, interval and spread of every measure of every system."""
    return {
        system: {
            row["measure"]: row for row in statistics.summary(part.drop("system"), clusters, **how).rows(named=True)
        }
        for (system,), part in per_query.group_by("system", maintain_order=True)
    }


def with_prior(
    data: str,
    runs_of: dict[str, int],
    qrels: pl.DataFrame,
    train_qrels: pl.DataFrame,
    clusters: pl.DataFrame,
    how: dict[str, int],
) -> dict[str, float]:
    """nDCG@10 of a system whose first ten documents are put in an order that no query has a say in."""
    ordered = {name: controls.static_prior(read(data, name), train_qrels) for name in runs_of}
    found = [
        measures.evaluate(run, qrels).select(pl.lit(name).alias("seed"), "query_id", "nDCG@10")
        for name, run in ordered.items()
    ]
    return statistics.summary(pl.concat(found), clusters, **how).row(0, named=True)


def by_group(
    per_query: pl.DataFrame, groupings: pl.DataFrame, clusters: pl.DataFrame, how: dict[str, int]
) -> pl.DataFrame:
    """nDCG@10 of one system within each group of queries: system, grouping, group, mean, low, high, queries."""
    found = [pl.DataFrame(schema=GROUPED)]
    for (grouping,), part in groupings.group_by("grouping", maintain_order=True):
        means = statistics.by_group(
            per_query.select("seed", "query_id", "nDCG@10"), part.select("query_id", "group"), clusters, **how
        )
        named = means.select(
            pl.lit(per_query["system"][0]).alias("system"), pl.lit(grouping).alias("grouping"), pl.all()
        )
        found.append(named.select(list(GROUPED)).cast(GROUPED))
    return pl.concat(found)


def differences(per_query: pl.DataFrame, reference: str, clusters: pl.DataFrame, how: dict[str, int]) -> pl.DataFrame:
    """Every system against the reference; an empty table where no ranker of the data set is it."""
    if reference not in per_query["system"]:
        return pl.DataFrame(schema=statistics.DIFFERENCES)
    return statistics.differences(per_query, reference, clusters, **how)


if __name__ == "__main__":
    stage.run(evaluate)
