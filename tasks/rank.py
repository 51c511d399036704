"""Stage `rank`: a finetuned model's run over the queries of the split that the tables show."""

import json
from pathlib import Path

import polars as pl
import torch
from transformers import PreTrainedTokenizerFast

from arrange.data import tables
from arrange.decoding import rank as library
from arrange.decoding.diagnostics import diagnose
from arrange.docids import trie
from arrange.evaluation import runs
from arrange.files import replacing
from arrange.models import ranker as model
from arrange.training import examples
from settings import params
from tasks import stage


def rank(name: str) -> None:
    """models/<name>, docids/<catalogue>, queries -> runs/<data>/<name>/{run,judged}.{parquet,trec}."""
    settings = params.read()
    ranker, prompt, how = settings.rankers[name], settings.prompt, settings.rank
    torch.set_num_threads(how.threads)
    catalogue = Path("docids", f"{ranker.data}-{ranker.docids}")
    docids = pl.read_parquet(catalogue / "docids.parquet")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(catalogue / "tokenizer")
    queries, _, qrels = tables.read(Path("data", ranker.data), splits=[how.split])
    shown = examples.of_split(
        queries, qrels, docids=docids, tokenizer=tokenizer, **prompt.templates(), seed=ranker.seed
    )
    legal = trie.load(catalogue / "trie.safetensors")
    legal.verify()
    trained = model.load(Path("models", name))
    trained.to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))  # type: ignore[arg-type]  # a wrapped method
    search = how.model_dump(include={"beams", "batch_size", "normaliser"})
    ids = queries["query_id"].to_list(), docids["doc_id"].to_list()
    with stage.progress(len(queries), "queries") as reached:
        run = library.rank(trained, shown, legal, *ids, **search, score=prompt.score, progress=reached)
    listed = library.rank_lists(trained, shown, how.batch_size, prompt.score)
    judged = runs.make_run(ids[0], listed, ids[1], depth=max(map(len, listed)))
    for file, table in (("run", run), ("judged", judged)):
        runs.write_run(table, Path("runs", ranker.data, name, f"{file}.parquet"), tag=name)

    audited = {}
    if prompt.regime == "corpus" and how.audited:
        prompts = [examples.prompt_of(shown, query, query) for query in range(min(how.audited, len(queries)))]
        special = {"end_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
        audited = diagnose(trained, prompts, legal, **search, **special)
    with replacing(Path("results", ranker.data, f"{name}.search.json")) as part:
        part.write_text(json.dumps(audited, indent=1))


if __name__ == "__main__":
    stage.run(rank)
