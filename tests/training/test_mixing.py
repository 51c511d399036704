"""Augmented examples in a training: which places they take, how often each comes, and that it resumes with them."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tiny
import torch

from arrange.docids import trie
from arrange.docids.catalogue import Catalogue
from arrange.docids.tokens import Prompt, train_tokenizer
from arrange.files import sha256
from arrange.training import examples, mixing, settings, unpacked
from arrange.training.examples import Order

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("first", "last"), [(0.5, 0.5), (0.25, 0.25), (1.0, 0.0), (0.3, 0.7), (1.0, 1.0), (0.0, 0.0)])
def test_every_batch_has_its_share_up_to_one(first, last):
    is_augmented = mixing.Mix(np.ones(3), first, last).places(160)
    shares = np.linspace(first, last, 160).reshape(10, 16).sum(1)
    assert np.abs(is_augmented.reshape(10, 16).sum(1) - shares).max() <= 1


def test_an_example_comes_as_often_as_its_weight_says_in_a_random_order():
    mix = mixing.Mix(np.array([1.0, 0.5, 0.25, 0.25]), 0.5, 0.5)
    drawn = mix.draw(400, seed=3)
    assert np.abs(np.bincount(drawn) - [200, 100, 50, 50]).max() <= 1
    assert (np.diff(drawn) != 0).sum() > 150
    assert np.array_equal(drawn, mix.draw(400, seed=3))
    assert not np.array_equal(drawn, mix.draw(400, seed=4))


def test_queries_keep_their_epochs_and_augmented_examples_stand_behind_them():
    mix = mixing.Mix(np.ones(7), 0.5, 0.5)
    rows = Order(5, 40, 1, mix).query_N
    queries, augmented = rows[rows < 5], rows[rows >= 5]
    assert queries.tolist() == Order(5, 20, 1).query_N.tolist()
    assert set(augmented) == set(range(5, 12))
    assert Order(5, 40, 1, mixing.Mix(np.ones(7), 0.0, 0.0)).query_N.tolist() == Order(5, 40, 1).query_N.tolist()
    assert Order(5, 40, 1, mixing.Mix(np.ones(7), 1.0, 1.0)).query_N.min() == 5


def test_the_order_of_queries_alone_is_that_of_earlier_versions():
    rng = np.random.default_rng(7)
    expected = np.concatenate([rng.permutation(4) for _ in range(3)])[:10]
    assert Order(4, 10, 7).query_N.tolist() == expected.tolist()


def test_an_augmented_example_is_a_query_with_one_document_of_rank_1():
    tokenizer = train_tokenizer(["dog cat animal"] * 3, 280)
    docids = [[10, 2], [11, 12, 2]]
    catalogue = Catalogue(pl.DataFrame({"doc_id": ["x", "y"], "tokens": docids}), tokenizer, trie.build(docids))
    prompt = settings.Prompt(
        regime="corpus", corpus="{query}<docid>", in_context="{query}{candidates}", candidate="{docid}",
        query_tokens=2, score="sum",
    )  # fmt: skip
    queries = pl.DataFrame({"query_id": ["q"], "text": ["dog"]})
    qrels = pl.DataFrame({"query_id": ["q", "q"], "doc_id": ["y", "x"], "rank": [1, 2]})
    table = pl.DataFrame({"text": ["cat dog animal", "dog"], "doc_id": ["y", "x"]})
    made = mixing.with_augmented(examples.of_queries(queries, qrels, catalogue, prompt), table, catalogue, prompt)
    cut = tokenizer("cat dog animal", add_special_tokens=False)["input_ids"][:2]
    assert examples.prompt_of(made, 1) == [1, *cut, 3]
    assert [(rows.tolist(), ranks.tolist()) for rows, ranks in made.lists] == [([1, 0], [1, 2]), ([1], [1]), ([0], [1])]


LISTS = replace(
    tiny.LISTS,
    prompts=[*tiny.PROMPTS, *(Prompt([1, 50 + document], [3]) for document in range(3))],
    lists=[*tiny.LISTS.lists, *((np.array([document]), np.ones(1)) for document in range(3))],
)
MIX = mixing.Mix(np.array([1.0, 1.0, 2.0]), 0.8, 0.2)


def test_training_learns_both_the_lists_and_the_augmented_examples(tmp_path):
    ranker = tiny.ranker()
    steps = {"max_steps": 400, "learning_rate": 2e-2, "per_device_train_batch_size": 4}
    steps |= {"eval_strategy": "no", "save_strategy": "no", "load_best_model_at_end": False}
    tiny.trained(tmp_path, ranker, LISTS, arguments=steps, mix=MIX)
    for document in range(3):
        assert probabilities(ranker, 4 + document)[document] > 0.95
    assert probabilities(ranker, 0) == pytest.approx([6 / 11, 3 / 11, 2 / 11], abs=0.1)


def probabilities(ranker, query):
    with torch.no_grad():
        prompt = examples.prompt_of(LISTS, query)
        return unpacked.document_log_probabilities(ranker.eval(), prompt, tiny.DOCIDS).exp().tolist()


def test_a_killed_training_goes_on_with_them_and_ends_with_the_same_bits(tmp_path):
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    command = [sys.executable, __file__]
    killed = subprocess.run([*command, tmp_path / "a", "15"], env=environment)
    assert killed.returncode == -signal.SIGKILL
    for name in ("a", "b"):
        subprocess.run([*command, tmp_path / name], env=environment, check=True)
    assert sha256(tmp_path / "a/model/model.safetensors") == sha256(tmp_path / "b/model/model.safetensors")


if __name__ == "__main__":
    last = int(sys.argv[2]) if len(sys.argv) > 2 else -1
    progress = partial(tiny.die_at, last)
    tiny.trained(Path(sys.argv[1]), tiny.ranker(dropout=0.2), LISTS, mix=MIX, progress=progress)
