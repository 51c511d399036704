"""Stage `baselines`: train a ranker that generates no docIDs on the same lists, and rank the same queries with it."""

from pathlib import Path

import torch

from arrange.baselines.trained import train_baseline
from arrange.data import tables
from arrange.docids.catalogue import read_tokenizer
from arrange.evaluation import runs
from settings import params
from tasks import stage


def baselines(name: str) -> None:
    """data/<data>, docids/<data>-<docids>/tokenizer -> runs/<data>/<name>/{run,judged}.{parquet,trec}."""
    settings = params.read()
    entry, fit = settings.baselines[name], settings.fit_baseline
    train = tables.read(Path("data", entry.data), splits=["train"])
    about = tables.read_about(Path("data", entry.data))
    ranked = tables.read(Path("data", entry.data), splits=[settings.rank.split])
    tokenizer = read_tokenizer(Path("docids", f"{entry.data}-{entry.docids}", "tokenizer"))
    torch.set_num_threads(fit.threads)  # of what is no training too: another number rounds otherwise
    search = train_baseline(
        entry, fit, train, ranked.queries, tokenizer=tokenizer, prompt=settings.prompt, progress=stage.progress
    )
    judged = search(candidates=ranked.qrels)
    run = judged if settings.prompt.regime == "in_context" else search(candidates=None)
    runs.write_runs(Path("runs", entry.data, name), run, judged, about.queries_are_documents)
