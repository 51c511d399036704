"""Finetuning from a base model's folder to a saved ranker, validated by ranking."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from arrange.decoding.mining import mine
from arrange.decoding.settings import Decoding
from arrange.decoding.validation import JudgedQueries, validate
from arrange.docids.catalogue import Catalogue
from arrange.models import ranker as models
from arrange.training import examples, needs, teachers
from arrange.training.losses import ListLoss
from arrange.training.mixing import Mix, with_augmented
from arrange.training.settings import Finetune, Prompt
from arrange.training.training import train


def finetune(
    out_folder: Path,
    learnt: JudgedQueries,
    validated: JudgedQueries,
    catalogue: Catalogue,
    prompt: Prompt,
    loss: ListLoss,
    settings: Finetune,
    decoding: Decoding,
    *,
    checkpoints: Path,
    arguments: Mapping[str, Any],
    seed: int,
    augmented: tuple[pl.DataFrame, Mix] | None = None,
    progress: Callable[[int, str], AbstractContextManager[Callable[[int], object]]],
) -> list[dict[str, float]]:
    """Train `settings.model` on the queries of `learnt` and save it in `out_folder`; the history of `train`.

    validated: queries that are ranked at every evaluation. augmented: further examples, a table of
    `arrange.data.augmented`, and how they are mixed in.
    arguments: go over those of `settings`. progress: as `train_baseline` takes it.
    Raises UserError where memory, disc or the model's context are too small.
    """
    base, arguments = Path(settings.model), {**settings.arguments, **arguments}
    needs.check(base, bool(settings.lora), arguments.get("save_total_limit", 1), loss.needs_reference)
    lists, names, mix = learnt.examples, learnt.query_ids, None
    if loss.teacher.weight:
        lists = teachers.with_teacher(lists, names, catalogue.docids["doc_id"].to_list(), settings.teacher)
    if augmented is not None:
        table, mix = augmented
        lists, names = with_augmented(lists, table, catalogue, prompt), [*names, *table["doc_id"]]
    every = [(lists, names), (validated.examples, validated.query_ids)]
    positions = examples.longest_sequence([each for each, _ in every], catalogue.tokenizer, prompt)
    model = models.from_base(base, catalogue.tokenizer, positions, seed)
    for each, query_ids in every:
        examples.check_length(each, model.config.max_position_embeddings, query_ids)
    new = models.new_tokens(base, catalogue.tokenizer) if settings.lora else []
    validation = partial(validate, queries=validated, catalogue=catalogue, decoding=decoding, score=prompt.score)
    with progress(arguments["max_steps"], "steps") as reached:
        return train(
            models.with_lora(model, settings.lora, seed, new),
            lists,
            loss,
            out_folder,
            checkpoints,
            arguments=arguments,
            seed=seed,
            threads=settings.threads,
            normaliser=settings.normaliser,
            temperature=settings.temperature,
            validate=validation,
            finish=validation if prompt.score == "validation" else lambda _: None,  # the kept checkpoint's own score
            mine=partial(mine, examples=lists, trie=catalogue.trie, documents=loss.mined.documents, decoding=decoding),
            mix=mix,
            progress=reached,
        )
