"""Stage `docids`: a docID, its tokens and a place in the trie for every document of a catalogue."""

import json
from pathlib import Path

import polars as pl

from arrange.data import tables
from arrange.docids import schemes as schemes
from arrange.docids import tokens, trie
from arrange.files import replacing
from arrange.models import vectors
from settings import params
from tasks import stage


def docids(name: str) -> None:
    """data/<data> -> docids/<catalogue>/: docids.parquet, catalogue/, tokenizer/, trie.safetensors, statistics.json."""
    settings = params.read()
    wanted, how = settings.catalogues[name], settings.docids
    queries, documents, _ = tables.read(Path("data", wanted.data), splits=["train"])
    texts = documents["text"].to_list()
    vectors_DE = None
    if wanted.docids in schemes.NEED_VECTORS:
        fitted = vectors.fit(
            how.vectoriser.name, [*texts, *queries["text"]], how.vectoriser.dimensions, how.vectoriser.seed
        )
        vectors_DE = fitted(texts)
    made = schemes.build(wanted.docids, {**how.schemes[wanted.docids], **wanted.options}, texts, vectors_DE)
    if how.tokenizer == "train":
        read = [*queries["text"], *(texts if made.codes else [docid for (docid,) in made.docids])]
        tokenizer = tokens.train_tokenizer(read, how.vocabulary_size)
    else:
        tokenizer = tokens.load_tokenizer(how.tokenizer)
    docid_tokens = tokens.encode_docids(tokenizer, made.docids, made.codes)
    built = trie.build(docid_tokens)

    out = Path("docids", name)
    columns = {
        "doc_id": documents["doc_id"],
        "docid": [" ".join(docid) for docid in made.docids],
        "tokens": docid_tokens,
    }
    table = pl.DataFrame(columns, schema_overrides={"tokens": pl.List(pl.Int32)})
    with replacing(out / "docids.parquet") as part:
        table.write_parquet(part)
    made.save(out / "catalogue")
    with replacing(out / "tokenizer") as part:
        tokenizer.save_pretrained(part)
    built.save(out / "trie.safetensors")
    with replacing(out / "statistics.json") as part:
        part.write_text(json.dumps(built.describe() | {"collisions": made.collisions}, indent=1))


if __name__ == "__main__":
    stage.run(docids)
