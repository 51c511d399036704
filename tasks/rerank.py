"""Stage `rerank`: what another system found first, ranked anew with a finetuned model."""

from pathlib import Path

import torch

from arrange.data import tables
from arrange.decoding.rerank import rerank as library
from arrange.docids.catalogue import open_catalogue
from arrange.evaluation import runs
from arrange.models import ranker as models
from settings import params
from tasks import stage


def rerank(name: str) -> None:
    """A run file, models/<ranker>, docids, data -> runs/<data>/<name>/{run,judged}.{parquet,trec}.

    judged is that of the ranker, runs/<data>/<ranker>: judged documents are given, and no first stage finds them.
    """
    settings = params.read()
    entry, folder = settings.reranked[name], Path("runs", settings.reranked[name].data)
    torch.set_num_threads(settings.rank.threads)
    catalogue = open_catalogue(Path("docids", f"{entry.data}-{entry.docids}"))
    queries = tables.read(Path("data", entry.data), splits=[settings.rank.split]).queries
    about = tables.read_about(Path("data", entry.data))
    first = runs.leave_out_itself(runs.read_run(Path(entry.first)), about.queries_are_documents)
    model = models.load_for_ranking(Path("models", entry.ranker))
    with stage.progress(len(queries), "queries") as reached:
        run = library(
            model,
            queries,
            first,
            catalogue,
            settings.prompt.of(settings.rankers[entry.ranker].regime),
            source=entry.first,
            depth=entry.depth,
            seed=settings.rankers[entry.ranker].seed,
            normaliser=settings.rank.normaliser,
            progress=reached,
        )
        reached(len(queries))  # those without candidates too
    _, judged = runs.read_runs(folder / entry.ranker)
    runs.write_runs(folder / name, run, judged)
