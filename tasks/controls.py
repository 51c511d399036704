"""Stage `controls`: runs that need no model. The numbers of models say little without them."""

from pathlib import Path

from arrange.baselines import controls as library
from arrange.data import tables
from arrange.evaluation import runs
from settings import params
from tasks import stage


def controls(data: str) -> None:
    """data/<data> -> runs/<data>/{random,root_first,copy,neighbours,popularity,bm25}/{run,judged}.{parquet,trec}."""
    settings = params.read()
    train = tables.read(Path("data", data), splits=["train"])
    ranked = tables.read(Path("data", data), splits=[settings.rank.split])
    about = tables.read_about(Path("data", data))
    in_context = settings.prompt.regime == "in_context"
    for file in ("run", "judged"):
        candidates = ranked.qrels if in_context or file == "judged" else None
        for name, run in library.control_runs(train, ranked, settings.controls, candidates).items():
            path = Path("runs", data, name, f"{file}.parquet")
            runs.write_run(runs.leave_out_itself(run, about.queries_are_documents), path, tag=name)


if __name__ == "__main__":
    stage.run(controls)
