"""Stage `docids`: a docID, its tokens and a place in the trie for every document of a data set."""

import logging
from pathlib import Path

from arrange.data import tables
from arrange.docids import catalogue, schemes, tokens
from arrange.docids.bounded import bounded
from arrange.docids.judged import of_tables
from settings import params

log = logging.getLogger(__name__)


def docids(name: str) -> None:
    """data/<data> -> docids/<data>-<docids>/, whose files arrange/docids/catalogue.py describes."""
    settings = params.read()
    entry, section = settings.catalogues[name], settings.docids
    dataset = queries, documents, _ = tables.read(Path("data", entry.data), splits=["train"])
    scheme, texts = section.schemes[entry.docids], documents["text"].to_list()
    vectors_DE = vectors_QE = None
    if scheme.needs_vectors:
        vectorise = section.vectoriser.fit([*texts, *queries["text"]])
        vectors_DE = vectorise(texts)
        vectors_QE = vectorise(queries["text"].to_list()) if getattr(scheme, "relevance", 0) else None
    assignment = schemes.build(scheme, texts, vectors_DE, of_tables(*dataset, vectors_QE))
    base = Path(settings.finetune.model)
    tokenizer = catalogue.tokenizer_for(assignment, queries["text"], base, section.vocabulary_size)
    assignment, bound = bounded(assignment, tokenizer)
    most = settings.prompt.query_tokens
    cut = sum(count > most for count in tokens.counts(tokenizer, queries["text"].to_list())) / len(queries)
    if cut:
        log.warning(
            "%s of the training queries have more than prompt.query_tokens=%d tokens and are cut", f"{cut:.0%}", most
        )
    notes = {"query_tokens": most, "cut_queries": round(cut, 4), **bound}
    catalogue.write(Path("docids", name), documents["doc_id"], assignment, tokenizer, notes)
