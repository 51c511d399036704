"""Augmented examples among the queries of a training: whose turn it is at each place, and what stands there.

An augmented example (`arrange.data.augmented`) is a query with one document of rank 1. N places of a training, A
augmented examples.
"""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from arrange.docids.catalogue import Catalogue
from arrange.docids.tokens import encode_prompts
from arrange.training.examples import Examples
from arrange.training.settings import Prompt


@dataclass(frozen=True, eq=False)
class Mix:
    """How augmented examples, the last ones of the training's `Examples`, are mixed in.

    weight_A: how often each is drawn, up to a factor. first, last: their share of the places at the first and at the
    last step; it changes by equal amounts. The places are spread evenly, so every batch has its share.
    """

    weight_A: NDArray[np.float64]
    first: float
    last: float

    def places(self, count: int) -> NDArray[np.bool_]:
        """Which of `count` places have an augmented example.

        >>> Mix(np.ones(1), 0.5, 0.0).places(12).nonzero()[0].tolist()
        [2, 4, 10]
        """
        reached_N = np.floor(np.cumsum(np.linspace(self.first, self.last, count)) + 1e-9)
        return np.diff(reached_N, prepend=0) > 0

    def draw(self, count: int, seed: int) -> NDArray[np.int64]:
        """`count` augmented examples in a random order, each as often as its weight says, up to one more or less."""
        rng = np.random.default_rng([seed, 1])
        end_A = np.cumsum(self.weight_A)
        at_N = (np.arange(count) + rng.random()) / max(count, 1) * end_A[-1]
        return rng.permutation(np.minimum(np.searchsorted(end_A, at_N, side="right"), len(end_A) - 1))


def with_augmented(examples: Examples, augmented: pl.DataFrame, catalogue: Catalogue, prompt: Prompt) -> Examples:
    """The examples of some queries, and behind them those of a table of `arrange.data.augmented`, in its order."""
    row_of = {doc_id: row for row, doc_id in enumerate(catalogue.docids["doc_id"])}
    texts, rank = augmented["text"].to_list(), np.ones(1)
    prompts = encode_prompts(catalogue.tokenizer, prompt.templates()["template"], texts, prompt.query_tokens)
    lists = [(np.array([row_of[doc_id]]), rank) for doc_id in augmented["doc_id"]]
    both = replace(examples, prompts=[*examples.prompts, *prompts], lists=[*examples.lists, *lists])
    if examples.teacher is None:
        return both
    return replace(both, teacher=[*examples.teacher, *(np.full(1, np.nan) for _ in lists)])
