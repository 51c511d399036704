"""Stage `ngram`: train a language model to generate n-grams of the documents, and rank with it (SEAL)."""

from pathlib import Path

import torch

from arrange.data import tables
from arrange.decoding import ngram_ranker as library
from arrange.docids.catalogue import read_tokenizer
from arrange.evaluation import runs
from arrange.models import ranker as models
from settings import params
from tasks import stage


def ngram(name: str) -> None:
    """data, docids/<data>-<docids>/tokenizer -> models/<name>, runs/<data>/<name>/{run,judged}, results/<data>.

    run: over the whole corpus, in either regime. judged: the judged documents, ranked.
    """
    settings = params.read()
    entry, decoding = settings.ngram[name], settings.rank
    data = Path("data", entry.data)
    train, validation, ranked = (tables.read(data, splits=[split]) for split in ("train", "validation", decoding.split))
    about, doc_ids = tables.read_about(data), train.documents["doc_id"].to_list()
    tokenizer = read_tokenizer(Path("docids", f"{entry.data}-{entry.docids}", "tokenizer"))
    index = library.index_of(tokenizer, train.documents["text"].to_list(), entry.length)
    how = index, tokenizer, settings.prompt, entry, about
    history = library.finetune(
        Path("models", name),
        library.ngram_queries(train, *how),
        library.ngram_queries(validation, *how, settings.finetune.validation_queries),
        doc_ids,
        index,
        tokenizer,
        settings.prompt,
        settings.losses[entry.loss],
        settings.finetune,
        decoding,
        entry,
        checkpoints=stage.resumable(),
        progress=stage.progress,
    )
    if not stage.is_main():
        return
    torch.set_num_threads(decoding.threads)
    model = models.load_for_ranking(Path("models", name))
    queries = library.ngram_queries(ranked, *how)
    with stage.progress(len(queries.query_ids), "queries") as reached:
        run, judged = library.rank(model, queries, doc_ids, index, decoding, entry, reached)
    runs.write_runs(Path("runs", entry.data, name), run, judged)
    stage.write_history(history, Path("results", entry.data, f"{name}.history.csv"))
    stage.finished()
