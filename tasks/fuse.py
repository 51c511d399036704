"""Stage `fuse`: two systems' runs as one, by reciprocal ranks or by what the validation queries teach."""

from pathlib import Path

from arrange.baselines import learned
from arrange.baselines.fusion import reciprocal_rank
from arrange.data import tables
from arrange.evaluation import runs
from settings import params
from tasks import stage


def fuse(name: str) -> None:
    """runs/<data>/{<first>,<second>} -> runs/<data>/<name>/{run,judged}.{parquet,trec}.

    judged: always by reciprocal ranks.
    """
    settings = params.read()
    entry = settings.fusions[name]
    folders = [Path("runs", entry.data, system) for system in (entry.first, entry.second)]
    run, judged = (reciprocal_rank(pair) for pair in zip(*map(runs.read_runs, folders), strict=True))
    if entry.learned:
        found = [runs.read_run(folder / "run.parquet") for folder in folders]
        known = [runs.read_run(folder / stage.VALIDATION) for folder in folders]
        qrels = tables.read(Path("data", entry.data), splits=["validation"]).qrels
        run = learned.fused(found, known, qrels, crossed=settings.rank.split == "validation")
    runs.write_runs(Path("runs", entry.data, name), run, judged)
