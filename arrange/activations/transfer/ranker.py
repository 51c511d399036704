"""The autoregressive ranker with another activation: a short training, ranked by beam search at the end."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import polars as pl
from transformers import PreTrainedModel

from arrange.activations.evaluation import Activation, Admitted
from arrange.activations.swap import normalised, swap
from arrange.decoding.rank import rank
from arrange.docids.trie import Trie
from arrange.evaluation import measures
from arrange.training.examples import Examples
from arrange.training.training import Objective, train


class Split(NamedTuple):
    """Queries to rank and their truth."""

    examples: Examples
    query_ids: Sequence[str]
    qrels: pl.DataFrame


class Score(NamedTuple):
    """What a ranker reached, and at which rate."""

    rate: float
    validation: float  # mean nDCG@10
    per_query: pl.DataFrame  # the measures of the test queries: `measures.evaluate`


def ranker_score(
    activation: Activation,
    admitted: Admitted,
    make: Callable[[], PreTrainedModel],
    lists: Examples,
    objective: Objective,
    validation: Split,
    test: Split,
    legal: Trie,
    doc_ids: Sequence[str],
    *,
    rates: Sequence[float],
    arguments: Mapping[str, Any],
    search: Mapping[str, Any],
    seed: int,
    threads: int,
) -> Score:
    """Train a fresh model with the activation swapped in, once per rate; rank the test queries with the best.

    The best rate has the highest mean nDCG@10 of the validation queries; the test queries are ranked once, after that
    choice. `make()` gives the model, always with the same weights. arguments: of `transformers.TrainingArguments`,
    without evaluation and checkpoints. search: of `arrange.decoding.rank.rank` (beams, batch_size, normaliser, score).
    """
    how = {"doc_ids": doc_ids, "trie": legal, **search}
    reached: dict[float, tuple[float, PreTrainedModel]] = {}
    for rate in rates:
        model = make()
        swap(model, normalised(activation, admitted))
        with TemporaryDirectory() as folder:
            train(
                model,
                lists,
                objective,
                Path(folder, "model"),
                Path(folder, "unfinished"),
                arguments={**arguments, "learning_rate": rate, "eval_strategy": "no", "save_strategy": "no"},
                seed=seed,
                threads=threads,
            )
        reached[rate] = (_measured(model, validation, how).select(pl.mean("nDCG@10")).item(), model)
    best = max(reached, key=lambda rate: reached[rate][0])
    value, model = reached[best]
    return Score(best, value, _measured(model, test, how))


def _measured(model: PreTrainedModel, split: Split, how: Mapping[str, Any]) -> pl.DataFrame:
    run = rank(model, split.examples, query_ids=split.query_ids, **how)
    return measures.evaluate(run, split.qrels)
