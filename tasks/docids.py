"""Stage `docids`: a name, its tokens and a place in the trie for every document."""

import json
from pathlib import Path

import polars as pl

from arrange.data import tables
from arrange.docids import names, tokens, trie
from arrange.files import replacing
from tasks import params, stage


def docids(data: str) -> None:
    """data/<data> -> docids/<data>/: docids.parquet, tokenizer/, trie.safetensors, statistics.json."""
    settings = params.read().docids
    queries, documents, _ = tables.read(Path("data", data), splits=["train"])
    unique = names.unique_names(documents["text"].to_list())
    tokenizer = tokens.train_tokenizer([*queries["text"], *unique], settings.vocabulary_size)
    docid_tokens = tokens.encode_docids(tokenizer, unique)
    built = trie.build(docid_tokens)

    out = Path("docids", data)
    table = pl.DataFrame(
        {"doc_id": documents["doc_id"], "docid": unique, "tokens": docid_tokens},
        schema_overrides={"tokens": pl.List(pl.Int32)},
    )
    with replacing(out / "docids.parquet") as part:
        table.write_parquet(part)
    with replacing(out / "tokenizer") as part:
        tokenizer.save_pretrained(part)
    built.save(out / "trie.safetensors")
    with replacing(out / "statistics.json") as part:
        part.write_text(json.dumps(built.describe(), indent=1))


if __name__ == "__main__":
    stage.run(docids)
