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
    """data/<data>, base_models -> candidates/<name>.parquet, a run; runs/<data>/<name>/{run,judged}.{parquet,trec}.

    candidates has the queries of all splits, runs/<data>/<name> those that the tables show: the first stage is a system
    too, the one that a reranker must beat.
    """
    settings = params.read()
    entry = settings.candidates[name]
    dataset = tables.read(Path("data", entry.data), splits=tables.SPLITS)
    torch.set_num_threads(1)  # another number rounds otherwise
    with stage.progress(len(dataset.documents), "documents") as reached:
        run = library(dataset, entry.depths, settings.controls.neighbours, entry.apart, reached)
        reached(len(dataset.documents))
    about = tables.read_about(Path("data", entry.data))
    run = runs.leave_out_itself(run, about.queries_are_documents)
    with replacing(Path("candidates", f"{name}.parquet")) as part:
        run.write_parquet(part)
    ranked = tables.read(Path("data", entry.data), splits=[settings.rank.split])
    of_split = run.join(ranked.queries, on="query_id", how="semi", maintain_order="left")
    judged = of_split.join(ranked.qrels, on=["query_id", "doc_id"], how="semi")
    runs.write_runs(Path("runs", entry.data, name), of_split, runs.from_scores(judged, depth=len(run)))
