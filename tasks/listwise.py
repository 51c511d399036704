"""Stage `listwise`: train a language model to order what a first stage finds, shown in the prompt; rank with it."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from arrange.data import tables
from arrange.decoding import finetuning
from arrange.decoding.validation import in_order_of, judged_queries, rank_queries, with_an_answer
from arrange.docids.catalogue import open_catalogue
from arrange.evaluation import runs
from arrange.models import ranker as models
from settings import params
from tasks import stage


def listwise(name: str) -> None:
    """candidates, data, docids -> models/<name>, runs/<data>/<name>/{run,judged}, results/<data>/<name>.history.csv.

    run: each query's candidates, ranked. judged: its judged documents, ranked.
    """
    settings = params.read()
    entry, decoding = settings.listwise[name], settings.rank
    prompt = settings.prompt.of("in_context")
    catalogue = open_catalogue(Path("docids", f"{entry.data}-{entry.docids}"))
    first = runs.read_run(Path("candidates", f"{entry.candidates}.parquet"))
    found = first.select("query_id", "doc_id")
    train, validation, ranked = (
        tables.read(Path("data", entry.data), splits=[split]) for split in ("train", "validation", decoding.split)
    )
    about = tables.read_about(Path("data", entry.data))
    ready = partial(judged_queries, catalogue=catalogue, prompt=prompt, seed=entry.seed, about=about)
    learnt = ready(train, candidates=with_an_answer(found, train.qrels))
    validated = ready(validation, most=settings.finetune.validation_queries, candidates=found)
    to_rank = ready(ranked, candidates=found), ready(ranked, candidates=in_order_of(first, ranked.qrels))
    history = finetuning.finetune(
        Path("models", name),
        learnt,
        validated,
        catalogue,
        prompt,
        settings.losses[entry.loss],
        replace(settings.finetune, model=entry.base),
        decoding,
        checkpoints=stage.resumable(),
        arguments=entry.arguments,
        seed=entry.seed,
        others=list(to_rank),
        progress=stage.progress,
    )
    if not stage.is_main():
        return
    stage.write_history(history, Path("results", entry.data, f"{name}.history.csv"))
    torch.set_num_threads(decoding.threads)
    model = models.load_for_ranking(Path("models", name))
    one_by_one = replace(decoding, batch_size=1)  # the candidates of one query fill a pass
    both = []
    for queries in to_rank:
        with stage.progress(len(queries.query_ids), "queries") as reached:
            both.append(rank_queries(model, queries, catalogue, one_by_one, prompt.score, reached))
    run, judged = both
    runs.write_runs(Path("runs", entry.data, name), run, judged)
    stage.finished()
