"""A ranker whose docIDs are n-grams (SEAL): its queries, its training, and ranking with it."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
from transformers import PreTrainedModel

from arrange.data.tables import About, Dataset
from arrange.decoding.intersective import ranked
from arrange.decoding.ngrams import search
from arrange.decoding.rank import common_loss
from arrange.decoding.settings import Decoding, Ngrams
from arrange.decoding.validation import LOGGED, JudgedQueries
from arrange.docids import ngrams, tokens
from arrange.docids.ngrams import NgramIndex
from arrange.evaluation import measures, runs
from arrange.models import ranker as models
from arrange.training import examples, needs
from arrange.training.losses import ListLoss
from arrange.training.ngrams import sampled
from arrange.training.settings import Finetune, Prompt
from arrange.training.training import train

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

DEPTH = 100  # documents of a query in a run


def index_of(tokenizer: "PreTrainedTokenizerFast", texts: Sequence[str], length: int) -> NgramIndex:
    """The index of the n-grams of texts; the separator is the end token."""
    return ngrams.build(tokens.plain(tokenizer, list(texts)), tokenizer.eos_token_id, length)


def ngram_queries(
    dataset: Dataset,
    index: NgramIndex,
    tokenizer: "PreTrainedTokenizerFast",
    prompt: Prompt,
    entry: Ngrams,
    about: About,
    most: int | None = None,
) -> JudgedQueries:
    """The first `most` queries of a data set, all by default; their lists are of n-grams of the judged documents."""
    queries = dataset.queries.head(most) if most is not None else dataset.queries
    qrels = dataset.qrels.join(queries, on="query_id", how="semi")
    texts = queries["text"].to_list()
    prepared = sampled(
        index,
        tokens.encode_prompts(tokenizer, prompt.corpus, texts, prompt.query_tokens),
        tokens.plain(tokenizer, texts),
        examples.judged_lists(queries["query_id"], qrels, dataset.documents["doc_id"]),
        samples=entry.samples,
        temperature=entry.temperature,
        seed=entry.seed,
        pad_token_id=tokenizer.pad_token_id,
    )
    return JudgedQueries(queries["query_id"].to_list(), qrels, prepared, about)


def finetune(
    out_folder: Path,
    learnt: JudgedQueries,
    validated: JudgedQueries,
    doc_ids: Sequence[str],
    index: NgramIndex,
    tokenizer: "PreTrainedTokenizerFast",
    prompt: Prompt,
    loss: ListLoss,
    settings: Finetune,
    decoding: Decoding,
    entry: Ngrams,
    *,
    checkpoints: Path,
    progress: Callable[[int, str], AbstractContextManager[Callable[[int], object]]],
) -> list[dict[str, float]]:
    """Train `settings.model` to generate n-grams of the documents of `learnt`; as `finetuning.finetune` otherwise."""
    base, arguments = Path(settings.model), {**settings.arguments, **entry.arguments}
    needs.check(base, bool(settings.lora), arguments.get("save_total_limit", 1), loss.needs_reference)
    both = [learnt.examples, validated.examples]
    positions = examples.longest_sequence(both, tokenizer, prompt.of("corpus")) + index.length
    model = models.from_base(base, tokenizer, positions, entry.seed)
    for each in (learnt, validated):
        examples.check_length(each.examples, model.config.max_position_embeddings, each.query_ids)
    new = models.new_tokens(base, tokenizer) if settings.lora else []
    with progress(arguments["max_steps"], "steps") as reached:
        return train(
            models.with_lora(model, settings.lora, entry.seed, new),
            learnt.examples,
            loss,
            out_folder,
            checkpoints,
            arguments=arguments,
            seed=entry.seed,
            threads=settings.threads,
            validate=partial(validate, queries=validated, doc_ids=doc_ids, index=index, decoding=decoding, entry=entry),
            progress=reached,
        )


def rank(
    model: PreTrainedModel,
    queries: JudgedQueries,
    doc_ids: Sequence[str],
    index: NgramIndex,
    decoding: Decoding,
    entry: Ngrams,
    progress: Callable[[int], object] = lambda done: None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The run over the corpus, and that of the judged documents alone; one that no n-gram finds has the score 0 there.

    A query whose n-grams weigh nothing has no documents in the first.
    """
    prompts = [examples.prompt_of(queries.examples, query) for query in range(len(queries.query_ids))]
    found = search(model, prompts, index, beams=decoding.beams, batch_size=decoding.batch_size, progress=progress)
    lists = [ranked(of_query, index, entry) for of_query in found]
    every = runs.make_run(queries.query_ids, lists, doc_ids, depth=len(doc_ids))
    judged = queries.qrels.select("query_id", "doc_id").join(every, on=["query_id", "doc_id"], how="left")
    judged = judged.with_columns(pl.col("score").fill_null(0.0))
    both = every.filter(pl.col("rank") <= DEPTH), runs.from_scores(judged, depth=len(doc_ids))
    run, of_judged = (runs.leave_out_itself(each, queries.about.queries_are_documents) for each in both)
    return run, of_judged


def validate(
    model: PreTrainedModel,
    queries: JudgedQueries,
    doc_ids: Sequence[str],
    index: NgramIndex,
    decoding: Decoding,
    entry: Ngrams,
) -> dict[str, float]:
    """What a training logs at an evaluation: the means of some measures, and `loss`, of the drawn n-grams."""
    run, _ = rank(model, queries, doc_ids, index, decoding, entry)
    means = measures.evaluate(run, queries.qrels).select(pl.col(LOGGED).mean()).row(0, named=True)
    return {"loss": common_loss(model, queries.examples, decoding.batch_size)} | means
