"""Stage `augment`: further training examples of a data set, made from its documents alone."""

from pathlib import Path

import polars as pl

from arrange.augmentation import examples, words
from arrange.data import augmented, tables
from settings import params
from tasks import stage


def augment(data: str) -> None:
    """data/<data> -> augment/<data>.parquet, which arrange/data/augmented.py describes.

    No validation or test query is read. All documents are used, those of validation and test queries too: they are in
    the catalogue. The training lists tell which documents a ranker has seen, and nothing else.
    """
    settings = params.read().augment
    _, documents, qrels = tables.read(Path("data", data), splits=["train"])
    seen_ids = qrels.drop_nulls("rank")["doc_id"]
    made = words.make(documents, settings.counts, settings.words, settings.seed)
    if settings.generated:
        from arrange.augmentation.generated import generate  # here: torch takes seconds to import

        cache = stage.folder() / "generated.parquet"
        with stage.progress(min(settings.generated.documents, len(documents)), "documents") as reached:
            by_model = generate(documents, seen_ids, settings.generated, settings.seed, cache, reached)
        made = pl.concat([made, by_model]).unique(["text", "doc_id"], keep="first", maintain_order=True)
    kept = examples.found(made, documents, settings.first)
    augmented.write(examples.weighted(kept, seen_ids, settings.seen), Path("augment", f"{data}.parquet"))
