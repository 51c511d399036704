"""Mined documents: what joins which lists and when, and that a killed training ends with the same bits."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
import torch

from arrange.decoding.mining import mine
from arrange.decoding.rank import rank_lists
from arrange.decoding.settings import Decoding
from arrange.docids import trie
from arrange.errors import UserError
from arrange.files import sha256
from arrange.training import examples, losses, mining, packing
from arrange.training.terms import Mined, Preference, Teacher

ROOT = Path(__file__).parents[2]
DOCIDS = [*tiny.DOCIDS, *([45 + n, 50, 2] for n in range(5))]
LISTS = replace(tiny.LISTS, docids=packing.docid_tokens(DOCIDS))
DECODING = Decoding(split="test", threads=1, beams=1, batch_size=2, normaliser="vocabulary", diagnosed=0)
MINED = Mined(documents=4, every=5)
LOSS = losses.Item(alpha=1.0, terms=losses.Terms(hinge=1.0), mined=MINED)
SEARCH = partial(mine, examples=LISTS, trie=trie.build(DOCIDS), documents=4, decoding=DECODING)


def trained(folder, **options):
    given = {"lists": LISTS, "loss": LOSS, "mine": SEARCH} | options
    return tiny.trained(folder, given.pop("made", None) or tiny.ranker(dropout=0.2), **given)


def test_the_documents_of_the_beams_join_without_a_rank_and_listed_ones_keep_theirs():
    found = examples.with_unranked(replace(LISTS, teacher=[np.arange(3.0)] * 4), {1: np.array([5, 0, 7])})
    assert found.lists[1][0].tolist() == [0, 1, 2, 5, 7]
    assert np.array_equal(found.lists[1][1], [1, 2, 3, np.nan, np.nan], equal_nan=True)
    assert np.array_equal(found.teacher[1], [0, 1, 2, np.nan, np.nan], equal_nan=True)
    assert [rows.tolist() for rows, _ in found.lists].count([0, 1, 2]) == 3
    assert LISTS.lists[1][0].tolist() == [0, 1, 2]


def test_the_search_finds_what_the_model_ranks_first():
    everything = replace(LISTS, lists=[(np.arange(len(DOCIDS)), np.ones(len(DOCIDS)))] * 4)
    ranker = tiny.ranker()
    best = [[row for row, _ in pairs] for pairs in rank_lists(ranker, everything, 4)]
    wide = partial(SEARCH, documents=len(DOCIDS))
    assert [rows.tolist() for rows in wide(ranker, [2, 0])] == [best[2], best[0]]


def test_a_search_is_made_for_the_queries_of_the_steps_to_come_and_what_it_found_stays_until_the_next():
    asked, order = [], examples.Order(4, 24, seed=7)

    def search(model, queries):
        asked.append(list(queries))
        return [np.array([3 + len(asked)])] * len(queries)

    lists = mining.MinedLists(LISTS, Mined(documents=1, every=2), search, lambda lists: lists, order, per_step=3)
    model = torch.nn.Linear(1, 1)
    joined = [lists.at(step, model).lists[int(order.query_N[3 * step])][0].tolist() for step in range(5)]
    assert joined == [[0, 1, 2, 4], [0, 1, 2, 4], [0, 1, 2, 5], [0, 1, 2, 5], [0, 1, 2, 6]]
    assert asked == [sorted(set(order.query_N[begin : begin + 6].tolist())) for begin in (0, 6, 12)]
    assert model.training
    with pytest.raises(AssertionError, match="step 7, which is no multiple of 2"):
        lists.at(7, model)


def test_a_batch_of_mined_lists_is_packed_with_the_weights_of_its_step(tmp_path):
    """A search that finds nothing trains exactly as no mining, though batches are packed elsewhere and later."""
    nothing = trained(tmp_path / "a", mine=lambda model, queries: [np.array([], np.int64)] * len(queries))
    none = trained(tmp_path / "b", loss=replace(LOSS, mined=Mined()))
    assert nothing == none
    assert sha256(tmp_path / "a/model/model.safetensors") == sha256(tmp_path / "b/model/model.safetensors")
    assert trained(tmp_path / "c") != none


@pytest.mark.parametrize("part", ["hinge", "teacher and dpo"])
@pytest.mark.parametrize("killed_at", [15, *(pytest.param(step, marks=pytest.mark.slow) for step in (4, 27))])
def test_a_killed_training_mines_the_same_and_ends_with_the_same_bits(tmp_path, killed_at, part):
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    command = [sys.executable, __file__, part]
    killed = subprocess.run([*command, tmp_path / "a", str(killed_at)], env=environment)
    assert killed.returncode == -signal.SIGKILL
    outputs = [
        subprocess.run([*command, tmp_path / name], env=environment, capture_output=True, text=True, check=True).stdout
        for name in ("a", "b")
    ]
    assert outputs[0] == outputs[1]
    assert sha256(tmp_path / "a/model/model.safetensors") == sha256(tmp_path / "b/model/model.safetensors")


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"save_steps": 12, "eval_steps": 12}, "arguments: save_steps is 12, no multiple of .* mined.every, 5"),
        ({"save_strategy": "best", "eval_steps": 7, "load_best_model_at_end": False}, "eval_steps is 7, no multiple"),
        ({"save_steps": 0.25, "eval_steps": 0.25}, "save_steps is 0.25, no multiple"),
    ],
)  # fmt: skip
def test_a_checkpoint_at_a_step_without_a_search_is_refused(tmp_path, changed, what):
    with pytest.raises(UserError, match=what):
        trained(tmp_path, arguments=changed)


def test_trainings_without_checkpoints_or_mining_may_have_any_steps(tmp_path):
    trained(tmp_path / "a", arguments={"max_steps": 7, "save_strategy": "no", "load_best_model_at_end": False})
    mining.check_steps(SimpleNamespace(save_strategy="steps", save_steps=3), Mined(), "here")


def test_mining_in_context_and_without_a_search_is_refused(tmp_path):
    for options in ({"lists": replace(LISTS, candidate=([5], [6]))}, {"mine": None}):
        with pytest.raises(UserError, match="learns from mined documents, in the regime corpus alone"):
            trained(tmp_path, **options)


def test_accumulated_steps_mine_for_all_of_their_queries(tmp_path):
    found = []
    for name, batch in (("a", (4, 1)), ("b", (2, 2))):
        sizes = {"per_device_train_batch_size": batch[0], "gradient_accumulation_steps": batch[1], "max_steps": 10}
        found.append([row["loss"] for row in trained(tmp_path / name, made=tiny.ranker(), arguments=sizes)])
    assert found[0] == pytest.approx(found[1], rel=1e-3)


def test_dpo_starts_at_ln_2_because_the_reference_is_what_training_starts_from(tmp_path):
    once = {"max_steps": 1, "logging_steps": 1, "eval_strategy": "no", "save_strategy": "no"}
    quiet = once | {"load_best_model_at_end": False}
    loss = losses.Item(alpha=1.0, preference=Preference(weight=1.0))
    alone = tiny.trained(tmp_path / "a", loss=losses.Item(alpha=1.0), arguments=quiet)[0]["loss"]
    assert tiny.trained(tmp_path / "b", loss=loss, arguments=quiet)[0]["loss"] == pytest.approx(alone + np.log(2), 1e-5)


if __name__ == "__main__":
    kind, folder = sys.argv[1], Path(sys.argv[2])
    last = int(sys.argv[3]) if len(sys.argv) > 3 else -1
    lists, loss = LISTS, LOSS
    if kind != "hinge":
        lists = replace(LISTS, teacher=[np.array([0.5, np.nan, 0.1])] * 4)
        loss = losses.Item(alpha=1.0, mined=MINED, teacher=Teacher(weight=1.0), preference=Preference(weight=1.0))
    print(trained(folder, lists=lists, loss=loss, progress=partial(tiny.die_at, last)))
