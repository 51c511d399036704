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
from arrange.activations.programs.files import source_of
from arrange.activations.transfer.ranker import RankerTask, swap_activations, train_with
from arrange.activations.transfer.swapped import SWAPPED, with_portfolios
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
    sources = {"gelu": source_of(CLASSICAL["gelu"])} | programs
    tasks = [shortened(seed=seed, rates=rates) for seed, rates in ((1, (2e-2,)), (7, (1e-2,)))]
    table = swap_activations(sources, tasks, 100.0, lambda *step: reached.append(step))
    assert table.schema == SWAPPED
    assert table["system"].to_list() == (["gelu"] * 4 + ["sine"] * 4) * 2
    assert table["activation"].equals(table["system"])
    assert table["seed"].to_list() == [1] * 8 + [7] * 8
    assert table["rate"].to_list() == [2e-2] * 8 + [1e-2] * 8
    assert table["query_id"].to_list() == IDS * 4
    assert set(table["cluster"]) == {"z"}  # the document of rank 1
    assert reached == list(enumerate(["gelu", "sine", "mean"] * 2, start=1))


VALIDATION = {("gelu", 1): 0.5, ("gelu", 2): 0.75, ("gelu", 3): 0.25, ("sin", 1): 0.5, ("sin", 2): 0.25, ("sin", 3): 1}


def scores(seeds):
    """Two queries of each system and seed; a query's value tells the system (0 or 10) and the seed."""
    rows = [
        (system, seed, system, 1e-3, value, query, "c", 10.0 * (system == "sin") + seed)
        for (system, seed), value in VALIDATION.items()
        for query in "ab"
        if seed in seeds
    ]
    return pl.DataFrame(rows, SWAPPED, orient="row")


def test_a_portfolio_picks_a_member_for_each_seed_and_its_control_a_seed_of_gelu():
    found = with_portfolios(scores({1, 2, 3}), {"both": ["gelu", "sin", "tanh"], "alone": ["gelu"]})
    assert found.schema == SWAPPED
    assert found.head(12).equals(scores({1, 2, 3}))
    rows = found.slice(12).filter(query_id="a").select("system", "seed", "activation", "validation", "nDCG@10").rows()
    assert rows == [
        ("portfolio both", 1, "gelu", 0.5, 1.0),  # the first of equals
        ("portfolio both", 2, "gelu", 0.75, 2.0),
        ("portfolio both", 3, "sin", 1.0, 13.0),
        ("best of 2 gelu", 1, "gelu", 0.75, 2.0),
        ("best of 2 gelu", 2, "gelu", 0.75, 2.0),
        ("best of 2 gelu", 3, "gelu", 0.5, 1.0),  # of the seeds 3 and 1
    ]


def test_the_control_has_as_many_seeds_as_there_are_and_one_seed_gives_none():
    of_two = with_portfolios(scores({1, 2}), {"three": ["gelu", "sin", "gelu"]})
    assert set(of_two["system"]) == {"gelu", "sin", "portfolio three", "best of 2 gelu"}
    of_one = with_portfolios(scores({1}), {"both": ["gelu", "sin"]})
    assert set(of_one["system"]) == {"gelu", "sin", "portfolio both"}
