"""Stage `evaluate`: every run of a data set measured against the test qrels."""

import json
from pathlib import Path

import polars as pl

from arrange.data import tables
from arrange.files import replacing
from arrange.ranking import measures, runs
from tasks import params, stage
from tasks.settings import CONTROLS


def evaluate(data: str) -> None:
    """runs/<data>, the test qrels -> results/<data>/per_query.parquet and metrics.json."""
    settings = params.read()
    qrels = tables.read(Path("data", data), splits=["test"]).qrels
    clusters = measures.nearest_documents(qrels)
    per_query, metrics = [], {}
    for system in (*settings.matrix.loss, *CONTROLS):
        table = measures.evaluate(runs.read_run(Path("runs", data, system, "run.parquet")), qrels)
        per_query.append(table.insert_column(0, pl.lit(system).alias("system")))
        means = measures.summary(
            table.drop("system"), clusters, draws=settings.evaluate.resamples, seed=settings.evaluate.seed
        )
        metrics[system] = {row["measure"]: row for row in means.rows(named=True)}
    with replacing(Path("results", data, "per_query.parquet")) as part:
        pl.concat(per_query).write_parquet(part)
    with replacing(Path("results", data, "metrics.json")) as part:
        part.write_text(json.dumps(metrics, indent=1))


if __name__ == "__main__":
    stage.run(evaluate)
