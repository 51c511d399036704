"""Stage `fuse`: two systems' runs as one, by the reciprocal ranks of the documents."""

from pathlib import Path

from arrange.baselines.fusion import reciprocal_rank
from arrange.evaluation import runs
from settings import params
from tasks import stage


def fuse(name: str) -> None:
    """runs/<data>/{<first>,<second>} -> runs/<data>/<name>/{run,judged}.{parquet,trec}."""
    entry = params.read().fusions[name]
    folder = Path("runs", entry.data)
    for file in ("run", "judged"):
        found = [runs.read_run(folder / system / f"{file}.parquet") for system in (entry.first, entry.second)]
        runs.write_run(reciprocal_rank(found), folder / name / f"{file}.parquet", tag=name)


if __name__ == "__main__":
    stage.run(fuse)
