"""The autoregressive ranker with other activations: short trainings from scratch, then ranking by beam search."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import polars as pl
from transformers import PreTrainedModel

from arrange.activations.evaluation import Activation, Admitted
from arrange.activations.feedforward import normalised, swap
from arrange.activations.programs.admission import admit
from arrange.activations.programs.check import compile_program
from arrange.activations.settings import Swap
from arrange.activations.transfer.swapped import MEASURE, SWAPPED
from arrange.data import tables
from arrange.decoding.settings import Decoding
from arrange.decoding.validation import JudgedQueries, judged_queries, measure
from arrange.docids.catalogue import Catalogue, open_catalogue
from arrange.evaluation.measures import nearest_documents
from arrange.models import ranker as models
from arrange.models.normaliser import Normaliser
from arrange.training.examples import longest_sequence
from arrange.training.losses import ListLoss
from arrange.training.settings import Finetune, Prompt, Score
from arrange.training.training import train


@dataclass(frozen=True, eq=False)
class RankerTask:
    """What all activations share under one seed: queries, first weights, and how the ranker is trained.

    Made by `ranker_task`.
    """

    make: Callable[[], PreTrainedModel]  # a fresh model, always with the same weights
    learnt: JudgedQueries
    validation: JudgedQueries
    test: JudgedQueries
    catalogue: Catalogue
    loss: ListLoss
    arguments: Mapping[str, Any]  # of `transformers.TrainingArguments`, without evaluation and checkpoints
    decoding: Decoding
    score: Score
    rates: tuple[float, ...]
    seed: int
    threads: int
    normaliser: Normaliser
    temperature: float = 1.0


class Trained(NamedTuple):
    """What a ranker reached."""

    rate: float  # the learning rate that validation picked
    validation: float  # mean nDCG@10
    per_query: pl.DataFrame  # all measures of the test queries


def ranker_task(
    swap: Swap,
    seed: int,
    data: Path,
    catalogue: Path,
    finetune: Finetune,
    prompt: Prompt,
    loss: ListLoss,
    decoding: Decoding,
) -> RankerTask:
    """The task of a prepared data set, a catalogue and one of the seeds. The model starts from `finetune.model`."""
    opened = open_catalogue(catalogue)

    def queries(split: tables.SplitName, most: int | None = None) -> JudgedQueries:
        dataset, about = tables.read(data, splits=[split]), tables.read_about(data)
        return judged_queries(dataset, opened, prompt, seed, about, most)

    learnt, validation, test = queries("train"), queries("validation", finetune.validation_queries), queries("test")
    positions = longest_sequence([each.examples for each in (learnt, validation, test)], opened.tokenizer, prompt)
    return RankerTask(
        make=lambda: models.from_base(Path(finetune.model), opened.tokenizer, positions, seed),
        learnt=learnt,
        validation=validation,
        test=test,
        catalogue=opened,
        loss=loss,
        arguments={**finetune.arguments, "max_steps": swap.steps, "load_best_model_at_end": False},
        decoding=decoding,
        score=prompt.score,
        rates=swap.rates,
        seed=seed,
        threads=finetune.threads,
        normaliser=finetune.normaliser,
        temperature=finetune.temperature,
    )


def swap_activations(
    sources: Mapping[str, str], tasks: Iterable[RankerTask], flops: float, reached: Callable[[int, str], object]
) -> pl.DataFrame:
    """nDCG@10 of the ranker with each program on each test query, once per task: SWAPPED.

    The tasks have seeds of their own. The cluster of a query is that of `measures.nearest_documents`. Programs that are
    not pointwise are left out: in training, a statistic of the batch would tell a token something of later tokens.
    Raises Rejected for a program that costs more than `flops` per element. `reached` is called after each program of
    each task.
    """
    activations = {name: compile_program(source) for name, source in sources.items()}
    admitted = {name: admit(activation, flops) for name, activation in activations.items()}
    scores, done = [pl.DataFrame(schema=SWAPPED)], 0
    for task in tasks:
        clusters = nearest_documents(task.test.qrels)
        for name, activation in activations.items():
            if admitted[name].pointwise:
                trained = train_with(activation, admitted[name], task)
                per_query = trained.per_query.join(clusters, on="query_id", maintain_order="left")
                names = {"system": name, "seed": task.seed, "activation": name}
                values = {"rate": trained.rate, "validation": trained.validation}
                columns = {column: pl.lit(value, SWAPPED[column]) for column, value in (names | values).items()}
                scores.append(per_query.with_columns(**columns).select(list(SWAPPED)))
            done += 1
            reached(done, name)
    return pl.concat(scores)


def train_with(activation: Activation, admitted: Admitted, task: RankerTask) -> Trained:
    """Train a fresh model with the activation swapped in, once per rate; rank the test queries with the best one.

    The best rate has the highest mean nDCG@10 of the validation queries. The test queries are ranked once, after that
    choice.
    """
    reached: dict[float, tuple[float, PreTrainedModel]] = {}
    for rate in task.rates:
        model = task.make()
        swap(model, normalised(activation, admitted))
        with TemporaryDirectory() as folder:
            train(
                model,
                task.learnt.examples,
                task.loss,
                None,  # a saved model would lack the activation
                Path(folder, "unfinished"),
                arguments={**task.arguments, "learning_rate": rate, "eval_strategy": "no", "save_strategy": "no"},
                seed=task.seed,
                threads=task.threads,
                normaliser=task.normaliser,
                temperature=task.temperature,
            )
        reached[rate] = (_measure(model, task.validation, task).select(pl.mean(MEASURE)).item(), model)
    best = max(reached, key=lambda rate: reached[rate][0])
    validation, model = reached[best]
    return Trained(best, validation, _measure(model, task.test, task))


def _measure(model: PreTrainedModel, queries: JudgedQueries, task: RankerTask) -> pl.DataFrame:
    return measure(model, queries, task.catalogue, task.decoding, task.score)
