"""Stage `listwise`: train a language model to order what a first stage finds, shown in the prompt; rank with it."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from arrange.data import tables
from arrange.decoding import finetuning
from arrange.decoding.rank import rank
from arrange.decoding.validation import in_order_of, judged_queries, with_an_answer
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
    to_rank = {
        "run": ready(ranked, candidates=found),
        "judged": ready(ranked, candidates=in_order_of(first, ranked.qrels)),
    }
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
        others=list(to_rank.values()),
        progress=stage.progress,
    )
    if not stage.is_main():
        return
    stage.write_history(history, Path("results", entry.data, f"{name}.history.csv"))
    torch.set_num_threads(decoding.threads)
    model = models.load(Path("models", name))
    model.to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))  # type: ignore[arg-type]  # a wrapped method
    for file, queries in to_rank.items():
        ids = queries.query_ids, catalogue.docids["doc_id"].to_list()
        with stage.progress(len(queries.query_ids), "queries") as reached:
            how = {**decoding.search(), "batch_size": 1}  # so many candidates fill a pass
            table = rank(model, queries.examples, catalogue.trie, *ids, **how, score=prompt.score, progress=reached)
        table = runs.leave_out_itself(table, about.queries_are_documents)
        runs.write_run(table, Path("runs", entry.data, name, f"{file}.parquet"), tag=name)
    stage.finished()


if __name__ == "__main__":
    stage.run(listwise)
