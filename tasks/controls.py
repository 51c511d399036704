"""Stage `controls`: runs that need no model. The numbers of models say little without them."""

from pathlib import Path

from arrange.baselines import controls as library
from arrange.data import tables
from arrange.evaluation import runs
from settings import params


def controls(data: str) -> None:
    """data/<data> -> runs/<data>/{random,root_first,copy,neighbours,popularity,bm25}/{run,judged}.{parquet,trec}."""
    settings = params.read()
    train = tables.read(Path("data", data), splits=["train"])
    ranked = tables.read(Path("data", data), splits=[settings.rank.split])
    about = tables.read_about(Path("data", data))
    in_context = settings.prompt.regime == "in_context"
    judged = library.control_runs(train, ranked, settings.controls, ranked.qrels)
    found = judged if in_context else library.control_runs(train, ranked, settings.controls, None)
    for name, run in found.items():
        runs.write_runs(Path("runs", data, name), run, judged[name], about.queries_are_documents)
