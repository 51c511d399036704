"""Stage `candidates`: the documents that a first stage finds, in an order that the training queries teach."""

from pathlib import Path

import polars as pl
import torch

from arrange.baselines import first_stage
from arrange.data import tables
from arrange.evaluation import runs
from arrange.files import replacing
from settings import params
from tasks import stage


def candidates(name: str) -> None:
    """data/<data>, base_models -> candidates/<name>.parquet, a run; runs/<data>/<name>, a system of the tables.

    The run has the training queries too if it teaches a training; the system's folder has what an export needs.
    """
    settings = params.read()
    entry, split = settings.candidates[name], settings.rank.split
    teaches = Path(settings.finetune.teacher.table).stem == name
    dataset = tables.read(Path("data", entry.data), splits=tables.SPLITS)
    torch.set_num_threads(1)  # another number rounds otherwise
    with stage.progress(len(dataset.documents), "documents") as reached:
        voters, teachers = settings.controls.neighbours, None if teaches else first_stage.TEACHERS
        first = first_stage.fit(dataset, entry.systems, entry.depth, voters, teachers, reached)
        reached(len(dataset.documents))
    run = first.rank(dataset.queries.filter(pl.col("split") != "train"))
    if teaches:
        run = pl.concat([run, first.rank_train()]).sort("query_id", "rank")
    about = tables.read_about(Path("data", entry.data))
    run = runs.leave_out_itself(run, about.queries_are_documents)
    with replacing(Path("candidates", f"{name}.parquet")) as part:
        run.write_parquet(part)
    ranked, validation = (tables.read(Path("data", entry.data), splits=[each]) for each in (split, "validation"))
    of_split, of_validation = (
        run.join(each.queries, on="query_id", how="semi", maintain_order="left") for each in (ranked, validation)
    )
    judged = of_split.join(ranked.qrels, on=["query_id", "doc_id"], how="semi")
    folder = Path("runs", entry.data, name)
    runs.write_runs(folder, of_split, runs.from_scores(judged, depth=len(run)))
    stage.write_validation(folder, of_validation)
    first_stage.write(first, folder / first_stage.FOLDER)
