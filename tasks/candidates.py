"""Stage `candidates`: the documents that a first stage finds for every query, training queries included."""

from pathlib import Path

import torch

from arrange.baselines.first_stage import candidates as library
from arrange.data import tables
from arrange.evaluation import runs
from arrange.files import replacing
from settings import params
from tasks import stage


def candidates(name: str) -> None:
    """data/<data>, base_models -> candidates/<name>.parquet, a run."""
    settings = params.read()
    entry = settings.candidates[name]
    dataset = tables.read(Path("data", entry.data), splits=tables.SPLITS)
    torch.set_num_threads(1)  # another number rounds otherwise
    with stage.progress(len(dataset.documents), "documents") as reached:
        run = library(dataset, entry.depths, settings.controls.neighbours, entry.apart, reached)
        reached(len(dataset.documents))
    about = tables.read_about(Path("data", entry.data))
    with replacing(Path("candidates", f"{name}.parquet")) as part:
        runs.leave_out_itself(run, about.queries_are_documents).write_parquet(part)


if __name__ == "__main__":
    stage.run(candidates)
