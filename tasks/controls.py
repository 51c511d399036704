"""Stage `controls`: runs that need no model, without which a model's numbers say nothing."""

from pathlib import Path

from arrange.data import tables
from arrange.ranking import controls as library
from arrange.ranking import runs
from tasks import params, stage


def controls(data: str) -> None:
    """data/<data> -> runs/<data>/{random,neighbours,popularity}/run.{parquet,trec}."""
    settings = params.read().controls
    train = tables.read(Path("data", data), splits=["train"])
    test = tables.read(Path("data", data), splits=["test"])
    found = {
        "random": library.random_order(test.qrels, settings.seed),
        "neighbours": library.neighbours(train.queries, train.qrels, test.queries, settings.neighbours),
        "popularity": library.popularity(train.qrels, test.queries),
    }
    for name, run in found.items():
        runs.write_run(run, Path("runs", data, name, "run.parquet"), tag=name)


if __name__ == "__main__":
    stage.run(controls)
