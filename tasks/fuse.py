"""Stage `fuse`: two systems' runs as one, by the reciprocal ranks of the documents."""

from pathlib import Path

from arrange.baselines.fusion import reciprocal_rank
from arrange.evaluation import runs
from settings import params


def fuse(name: str) -> None:
    """runs/<data>/{<first>,<second>} -> runs/<data>/<name>/{run,judged}.{parquet,trec}."""
    entry = params.read().fusions[name]
    folder = Path("runs", entry.data)
    first, second = (runs.read_runs(folder / system) for system in (entry.first, entry.second))
    run, judged = (reciprocal_rank(pair) for pair in zip(first, second, strict=True))
    runs.write_runs(folder / name, run, judged)
