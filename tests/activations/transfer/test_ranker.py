"""The ranker with an activation swapped in, on a toy task."""

import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import tiny
import torch

from arrange.activations.classical import CLASSICAL
from arrange.activations.evaluation import Admitted
from arrange.activations.transfer.ranker import Split, ranker_score
from arrange.docids import trie
from arrange.training.losses import Item

IDS = ["a", "b", "c", "d"]
DOCS = ["x", "y", "z"]
RANKS = np.array([3.0, 2.0, 1.0])  # the longest docID first: a model with random weights has the shortest first
LISTS = replace(tiny.LISTS, lists=[(np.arange(3), RANKS)] * 4)
LOSS = Item(alpha=1.0)


def split(gains):
    pairs = {"query_id": [query for query in IDS for _ in DOCS], "doc_id": DOCS * len(IDS)}
    return Split(LISTS, IDS, pl.DataFrame(pairs).with_columns(gain=pl.Series(gains * 4), rank=pl.Series([3, 2, 1] * 4)))


TRUTH, REVERSED = split([2, 3, 6]), split([6, 3, 2])
SEARCH = {"beams": 3, "batch_size": 4, "normaliser": "vocabulary", "score": "sum"}
ARGUMENTS = {"per_device_train_batch_size": 4, "logging_steps": 10}
PLAIN = Admitted(flops=1.0, pointwise=True, gain=1.0, curve=())


def score(activation, admitted=PLAIN, rates=(2e-2,), validation=TRUTH, test=TRUTH, make=tiny.ranker, steps=60):
    return ranker_score(
        activation,
        admitted,
        make,
        LISTS,
        LOSS,
        validation,
        test,
        trie.build(tiny.DOCIDS),
        DOCS,
        rates=rates,
        arguments=ARGUMENTS | {"max_steps": steps},
        search=SEARCH,
        seed=1,
        threads=1,
    )


def test_validation_picks_the_rate_whatever_the_test_queries_say():
    """At rate 0 nothing is learned: the shortest docID is first, which is the reversed truth."""
    backwards = (2 / 1 + 3 / math.log2(3) + 6 / 2) / (6 / 1 + 3 / math.log2(3) + 2 / 2)
    found = score(CLASSICAL["gelu"], rates=(0.0, 2e-2), test=REVERSED)
    assert (found.rate, found.validation) == (2e-2, pytest.approx(1.0))
    assert found.per_query["query_id"].to_list() == IDS
    assert found.per_query["nDCG@10"].to_list() == pytest.approx([backwards] * 4)
    found = score(CLASSICAL["gelu"], rates=(0.0, 2e-2), validation=REVERSED)
    assert (found.rate, found.validation) == (0.0, pytest.approx(1.0))
    assert found.per_query["nDCG@10"].to_list() == pytest.approx([backwards] * 4)


def weights_after(activation, admitted=PLAIN):
    made = []

    def make():
        made.append(tiny.ranker())
        return made[-1]

    score(activation, admitted, make=make, steps=3)
    return made[0].model.layers[0].mlp.up_proj.weight


def test_the_activation_and_its_gain_are_what_is_trained():
    silu = torch.nn.functional.silu
    same = weights_after(silu)
    assert torch.equal(weights_after(lambda x: 4 * silu(x), replace(PLAIN, gain=0.25)), same)
    assert not torch.allclose(weights_after(lambda x: 4 * silu(x)), same)
    assert not torch.allclose(weights_after(CLASSICAL["relu"]), same)
