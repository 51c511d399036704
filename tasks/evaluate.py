"""Stage `evaluate`: every run of a data set measured against the qrels of the split that the tables show."""

import json
from pathlib import Path

import polars as pl

from arrange.baselines import controls
from arrange.data import tables
from arrange.evaluation import excerpts, measures, runs, statistics
from arrange.files import replacing
from settings import params
from settings.sections import CONTROLS, systems
from tasks import stage

LOOKED_AT, DEPTH = 20, 10  # queries in the excerpts, and documents of each list

GROUPED = pl.Schema(
    dict.fromkeys(("system", "grouping", "group"), pl.String())
    | dict.fromkeys(("mean", "low", "high"), pl.Float64())
    | dict.fromkeys(("queries",), pl.Int64())
)


def evaluate(data: str) -> None:
    """runs/<data>, data/<data> -> results/<data>: metrics.json, judged.json, and tables as parquet."""
    settings = params.read()
    how = {"draws": settings.evaluate.resamples, "seed": settings.evaluate.seed}
    dataset = tables.read(Path("data", data), splits=[settings.rank.split])
    qrels = dataset.qrels
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
        metrics[system] |= with_prior(data, runs_of, qrels, train_qrels, clusters, how)

    groupings = tables.read_groups(Path("data", data)).join(clusters, on="query_id", how="semi")
    grouped = [
        by_group(part, groupings, clusters, how) for part in per_query.partition_by("system", maintain_order=True)
    ]
    reference = settings.evaluate.reference if settings.evaluate.reference in seeds else next(iter(seeds))
    looked_at = excerpts.choose(quality(per_query, reference), groupings, LOOKED_AT)

    out = Path("results", data)
    with replacing(out / "per_query.parquet") as part:
        per_query.write_parquet(part)
    with replacing(out / "differences.parquet") as part:
        differences(per_query, settings.evaluate.reference, clusters, how).write_parquet(part)
    with replacing(out / "groups.parquet") as part:
        pl.concat(grouped).write_parquet(part)
    with replacing(out / "excerpts.parquet") as part:
        shown(data, seeds, dataset, looked_at).write_parquet(part)
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
) -> dict[str, dict]:
    """A system in an order that no query has a say in: nDCG@10 of its first ten so ordered, tau_b of all of them."""
    tables = []
    for name in runs_of:
        run = read(data, name)
        first = measures.evaluate(controls.static_prior(run, train_qrels), qrels)
        taus = measures.kendall(controls.static_prior(run, train_qrels, depth=len(run)), qrels)
        table = first.select(pl.lit(name).alias("seed"), "query_id", prior="nDCG@10")
        tables.append(table.join(taus.rename({"tau_b": "prior_tau_b"}), on="query_id", how="left"))
    found = statistics.summary(pl.concat(tables), clusters, **how)
    return {row["measure"]: row for row in found.rows(named=True)}


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


def quality(per_query: pl.DataFrame, system: str) -> pl.DataFrame:
    """nDCG@10 of one system's first run, by which queries are chosen to be looked at: query_id, quality."""
    mine = per_query.filter(pl.col("system") == system)
    return mine.filter(pl.col("seed") == pl.col("seed").min()).select("query_id", quality="nDCG@10")


def shown(data: str, seeds: dict[str, dict[str, int]], dataset: tables.Dataset, query_ids: list[str]) -> pl.DataFrame:
    """The true lists of these queries, and the first documents that each system's first run has for them."""
    firsts = {system: min(runs_of, key=runs_of.__getitem__) for system, runs_of in seeds.items()}
    lists = {system: read(data, name).filter(pl.col("rank") <= DEPTH) for system, name in firsts.items()}
    found = [excerpts.excerpt(system, run, dataset, query_ids) for system, run in lists.items()]
    return pl.concat([excerpts.excerpt(None, excerpts.truth(dataset.qrels), dataset, query_ids), *found])


def differences(per_query: pl.DataFrame, reference: str, clusters: pl.DataFrame, how: dict[str, int]) -> pl.DataFrame:
    """Every system against the reference; an empty table where no ranker of the data set is it."""
    if reference not in per_query["system"]:
        return pl.DataFrame(schema=statistics.DIFFERENCES)
    return statistics.differences(per_query, reference, clusters, **how)


if __name__ == "__main__":
    stage.run(evaluate)
