"""Stage `rank`: a finetuned model's run over the test queries, by beam search in the trie."""

from pathlib import Path

import polars as pl
import torch
from transformers import PreTrainedTokenizerFast

from arrange.data import tables
from arrange.docids import trie
from arrange.docids.tokens import encode_prompts
from arrange.ranking import model, runs
from arrange.ranking.decode import beam_search
from tasks import params, stage


def rank(data: str, loss: str) -> None:
    """models/<data>/<loss>, docids/<data>, the test queries -> runs/<data>/<loss>/run.{parquet,trec}."""
    settings = params.read()
    torch.set_num_threads(settings.rank.threads)
    docids = Path("docids", data)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(docids / "tokenizer")
    queries = tables.read(Path("data", data), splits=["test"]).queries
    with stage.progress(len(queries), "queries") as reached:
        ranked = beam_search(
            model.load(Path("models", data, loss)),
            encode_prompts(tokenizer, queries["text"].to_list(), settings.finetune.prompt_tokens),
            trie.load(docids / "trie.safetensors"),
            beams=settings.rank.beams,
            batch_size=settings.rank.batch_size,
            pad_token_id=tokenizer.pad_token_id,
            progress=reached,
        )
    doc_ids = pl.read_parquet(docids / "docids.parquet")["doc_id"].to_list()
    run = runs.make_run(queries["query_id"].to_list(), ranked, doc_ids, depth=settings.rank.beams)
    runs.write_run(run, Path("runs", data, loss, "run.parquet"), tag=loss)


if __name__ == "__main__":
    stage.run(rank)
