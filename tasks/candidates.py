"""Stage `candidates`: the documents that a first stage finds, for training queries too where one trains on them."""

from pathlib import Path

import torch

from arrange.baselines.first_stage import candidates as library
from arrange.data import tables
from arrange.evaluation import runs
from arrange.files import replacing
from settings import params
from tasks import stage


def candidates(name: str) -> None:
    """data/<data>, base_models -> candidates/<name>.parquet, a run; runs/<data>/<name>/{run,judged}.{parquet,trec}.

    runs/<data>/<name> has the queries that the tables show: the first stage is a system, which rerankers must beat.
    candidates has these, and those of all splits where a training takes them.
    """
    settings = params.read()
    entry, split = settings.candidates[name], settings.rank.split
    taught = [each.candidates for each in settings.listwise.values()] + [Path(settings.finetune.teacher.table).stem]
    dataset = tables.read(Path("data", entry.data), splits=tables.SPLITS)
    torch.set_num_threads(1)  # another number rounds otherwise
    with stage.progress(len(dataset.documents), "documents") as reached:
        queries = dataset.queries if name in taught else dataset.queries.filter(split=split)
        run = library(dataset, queries, entry.depths, settings.controls.neighbours, entry.apart, reached)
        reached(len(dataset.documents))
    about = tables.read_about(Path("data", entry.data))
    run = runs.leave_out_itself(run, about.queries_are_documents)
    with replacing(Path("candidates", f"{name}.parquet")) as part:
        run.write_parquet(part)
    ranked = tables.read(Path("data", entry.data), splits=[split])
    of_split = run.join(ranked.queries, on="query_id", how="semi", maintain_order="left")
    judged = of_split.join(ranked.qrels, on=["query_id", "doc_id"], how="semi")
    runs.write_runs(Path("runs", entry.data, name), of_split, runs.from_scores(judged, depth=len(run)))
