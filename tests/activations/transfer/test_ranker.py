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
from arrange.activations.transfer.ranker import SWAPPED, RankerTask, swap_activations, train_with, with_reference
from arrange.data.tables import About
from arrange.decoding.settings import Decoding
from arrange.decoding.validation import JudgedQueries
from arrange.docids import trie
from arrange.docids.catalogue import Catalogue
from arrange.training.losses import Item

IDS = ["a", "b", "c", "d"]
DOCS = ["x", "y", "z"]
RANKS = np.array([3.0, 2.0, 1.0])  # the longest docID first: a model with random weights has the shortest first
LISTS = replace(tiny.LISTS, lists=[(np.arange(3), RANKS)] * 4)


def judged(gains):
    pairs = {"query_id": [query for query in IDS for _ in DOCS], "doc_id": DOCS * len(IDS)}
    qrels = pl.DataFrame(pairs).with_columns(gain=pl.Series(gains * 4), rank=pl.Series([3, 2, 1] * 4))
    return JudgedQueries(IDS, qrels, LISTS, About(title="Four queries."))


TRUTH, REVERSED = judged([2, 3, 6]), judged([6, 3, 2])
PLAIN = Admitted(flops=1.0, pointwise=True, gain=1.0, curve=())
TASK = RankerTask(
    make=tiny.ranker,
    learnt=TRUTH,
    validation=TRUTH,
    test=TRUTH,
    catalogue=Catalogue(pl.DataFrame({"doc_id": DOCS}), None, trie.build(tiny.DOCIDS)),
    loss=Item(alpha=1.0),
    arguments={"per_device_train_batch_size": 4, "logging_steps": 10, "max_steps": 60},
    decoding=Decoding(split="test", threads=1, beams=3, batch_size=4, normaliser="vocabulary", diagnosed=0),
    score="sum",
    rates=(2e-2,),
    seed=1,
    threads=1,
    normaliser="vocabulary",
)


def shortened(**changes):
    return replace(TASK, arguments={**TASK.arguments, "max_steps": 3}, **changes)


def test_validation_picks_the_rate_whatever_the_test_queries_say():
    """At rate 0 nothing is learned: the shortest docID is first, which is the reversed truth."""
    backwards = (2 / 1 + 3 / math.log2(3) + 6 / 2) / (6 / 1 + 3 / math.log2(3) + 2 / 2)
    task = replace(TASK, rates=(0.0, 2e-2))
    trained = train_with(CLASSICAL["gelu"], PLAIN, replace(task, test=REVERSED))
    assert (trained.rate, trained.validation) == (2e-2, pytest.approx(1.0))
    assert trained.per_query["query_id"].to_list() == IDS
    assert trained.per_query["nDCG@10"].to_list() == pytest.approx([backwards] * 4)
    trained = train_with(CLASSICAL["gelu"], PLAIN, replace(task, validation=REVERSED))
    assert (trained.rate, trained.validation) == (0.0, pytest.approx(1.0))
    assert trained.per_query["nDCG@10"].to_list() == pytest.approx([backwards] * 4)


def weights_after(activation, admitted=PLAIN):
    made = []

    def make():
        made.append(tiny.ranker())
        return made[-1]

    train_with(activation, admitted, shortened(make=make))
    return made[0].model.layers[0].mlp.up_proj.weight


def test_the_activation_and_its_gain_are_what_is_trained():
    silu = torch.nn.functional.silu
    same = weights_after(silu)
    assert torch.equal(weights_after(lambda x: 4 * silu(x), replace(PLAIN, gain=0.25)), same)
    assert not torch.allclose(weights_after(lambda x: 4 * silu(x)), same)
    assert not torch.allclose(weights_after(CLASSICAL["relu"]), same)


def test_the_table_has_a_row_per_query_and_leaves_out_what_uses_batch_statistics():
    programs = {"sine": "def activation(x): return torch.sin(x)", "mean": "def activation(x): return x - x.mean()"}
    reached = []
    table = swap_activations(with_reference(programs), shortened(), 100.0, lambda *step: reached.append(step))
    assert table.schema == SWAPPED
    assert table["system"].to_list() == ["gelu"] * 4 + ["sine"] * 4
    assert table["query_id"].to_list() == IDS * 2
    assert set(table["cluster"]) == {"z"}  # the document of rank 1
    assert reached == [(1, "gelu"), (2, "sine"), (3, "mean")]
