"""Stage `controls`: runs that need no model, without which a model's numbers say nothing."""

from pathlib import Path

import polars as pl

from arrange.baselines import controls as library
from arrange.data import tables
from arrange.evaluation import runs
from settings import params
from settings.sections import Controls
from tasks import stage


def controls(data: str) -> None:
    """data/<data> -> runs/<data>/{random,root_first,copy,neighbours,popularity}/{run,judged}.{parquet,trec}."""
    settings = params.read()
    train = tables.read(Path("data", data), splits=["train"])
    asked = tables.read(Path("data", data), splits=[settings.rank.split])
    in_context = settings.prompt.regime == "in_context"
    for file in ("run", "judged"):
        candidates = asked.qrels if in_context or file == "judged" else None
        for name, run in made(train, asked, settings.controls, candidates).items():
            runs.write_run(run, Path("runs", data, name, f"{file}.parquet"), tag=name)


def made(
    train: tables.Dataset, asked: tables.Dataset, settings: Controls, candidates: pl.DataFrame | None
) -> dict[str, pl.DataFrame]:
    """The runs of all controls, over all documents or the candidates alone."""
    alike = asked.qrels if candidates is None else asked.qrels.with_columns(pl.col("rank").fill_null(1))
    learnt = train.queries, train.qrels, asked.queries
    return {
        "random": library.random_order(alike, settings.seed),
        "root_first": library.root_first(asked.qrels),
        "copy": library.neighbours(*learnt, 1, candidates=candidates),
        "neighbours": library.neighbours(*learnt, settings.neighbours, candidates=candidates),
        "popularity": library.popularity(train.qrels, asked.queries, candidates=candidates),
    }


if __name__ == "__main__":
    stage.run(controls)
