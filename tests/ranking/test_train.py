import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from arrange.errors import UserError
from arrange.files import sha256
from arrange.ranking.examples import best_examples, collate, training_examples
from arrange.ranking.losses import weights
from arrange.ranking.model import docid_log_probabilities, from_scratch, load
from arrange.ranking.train import train

PROMPTS = [[1, 10 + q, *range(20, 20 + q), 3] for q in range(4)]
DOCIDS = [[40, 2], [41, 42, 2], [41, 43, 44, 2]]
SETTINGS = {"batch_size": 4, "warmup": 0.1, "weight_decay": 0.01, "seed": 7, "threads": 1, "log_every": 2}
PAD = partial(collate, pad_token_id=0)


def tiny(seed=0):
    return from_scratch(
        vocabulary_size=64,
        hidden_size=16,
        layers=2,
        heads=2,
        max_positions=32,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        seed=seed,
    )


def examples(loss="item", count=400, **parameters):
    weights_D = weights(loss, parameters, [1, 2, 3])
    return training_examples(PROMPTS, DOCIDS, [(np.arange(3), weights_D)] * len(PROMPTS), count, seed=0)


def log_probability(model, prompt, docid):
    """One plain pass, one token at a time: the oracle."""
    total = 0.0
    for t, token in enumerate(docid):
        with torch.no_grad():
            logits = model(torch.tensor([prompt + docid[:t]])).logits[0, -1]
        total += logits.log_softmax(-1)[token].item()
    return total


def test_log_probabilities_agree_with_one_token_at_a_time():
    model = tiny().eval()
    rows = examples(alpha=0.0, count=9)
    with torch.no_grad():
        found = docid_log_probabilities(model, PAD(list(rows)))
    plain = [
        log_probability(model, PROMPTS[row["query"]], row["input_ids"][len(PROMPTS[row["query"]]) :]) for row in rows
    ]
    assert found.tolist() == pytest.approx(plain, abs=1e-5)


def test_seeds_decide_the_first_weights():
    a, b, c = (tiny(seed).lm_head.weight for seed in (0, 0, 1))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_training_finds_the_optimum_of_the_item_loss(tmp_path):
    """P(d_r | q) = r^-1 / sum_s s^-1 = 6/11, 3/11, 2/11 (arXiv 2601.05588), for every query."""
    model = tiny()
    train(
        model,
        examples(alpha=1.0, count=16_000),
        PAD,
        tmp_path / "m",
        **SETTINGS | {"batch_size": 40},
        steps=400,
        learning_rate=2e-2,
    )
    for prompt in PROMPTS:
        found = np.exp([log_probability(model.eval(), prompt, docid) for docid in DOCIDS])
        assert found == pytest.approx([6 / 11, 3 / 11, 2 / 11], abs=0.06)


def test_history_and_progress_tell_the_same_and_the_saved_model_is_the_trained_one(tmp_path):
    seen, model = [], tiny()
    validation = best_examples(PROMPTS, DOCIDS, [(np.arange(3), np.array([1.0, 2.0, 3.0]))] * 4)
    history = train(
        model,
        examples(alpha=1.0),
        PAD,
        tmp_path / "m",
        **SETTINGS | {"batch_size": 3},
        steps=5,
        learning_rate=1e-3,
        validation=validation,
        evaluate_every=3,
        progress=lambda step, metrics: seen.append((step, *metrics)),
    )
    trained = ("loss", "learning_rate", "grad_norm")
    assert seen == [
        (2, *trained),
        (3, "validation_loss"),
        (4, *trained),
        (5, *trained),
        (5, "validation_loss"),
    ]
    assert [row["step"] for row in history] == [2, 3, 4, 5]
    expected = -np.mean([log_probability(model.eval(), prompt, DOCIDS[0]) for prompt in PROMPTS])
    assert history[-1]["validation_loss"] == pytest.approx(expected, abs=1e-5)
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == [
        "config.json",
        "generation_config.json",
        "model.safetensors",
    ]
    loaded = load(tmp_path / "m")
    assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), model.parameters(), strict=True))
    assert loaded.config.use_cache


def test_the_first_loss_is_the_mean_of_the_first_batch_in_the_drawn_order(tmp_path):
    rows = examples(alpha=1.0)
    with torch.no_grad():
        expected = -docid_log_probabilities(tiny(), PAD([rows[i] for i in range(4)])).mean().item()
    history = train(tiny(), rows, PAD, tmp_path / "m", **SETTINGS | {"log_every": 1}, steps=1, learning_rate=1e-3)
    assert history[0]["loss"] == pytest.approx(expected, abs=1e-5)


def test_another_process_trains_the_same_bits(tmp_path):
    script, root = Path(__file__).with_name("train_here.py"), Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": str(root)}
    subprocess.run([sys.executable, script, tmp_path / "there"], check=True, env=environment)
    history = [
        train(tiny(seed), examples(alpha=1.0), PAD, tmp_path / name, **SETTINGS, steps=20, learning_rate=1e-2)
        for name, seed in (("here", 0), ("other", 1))
    ]
    there, here, other = (sha256(tmp_path / name / "model.safetensors") for name in ("there", "here", "other"))
    assert there == here != other
    assert json.loads((tmp_path / "there.json").read_text()) == history[0]


def test_a_loss_that_is_no_number_is_named_with_its_step_and_leaves_the_old_model(tmp_path):
    steps = []
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "old").touch()
    with pytest.raises(UserError) as caught:
        train(
            tiny(),
            examples(alpha=1.0),
            PAD,
            tmp_path / "m",
            **SETTINGS | {"log_every": 1},
            steps=20,
            learning_rate=1e30,
            progress=lambda step, metrics: steps.append(step),
        )
    assert f"is nan at step {steps[-1] + 1}\n" in str(caught.value)
    assert [path.name for path in tmp_path.rglob("*")] == ["m", "old"]
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize("spoil", ["nothing there", "truncated weights", "broken config"])
def test_a_folder_without_a_whole_model_is_named(tmp_path, spoil):
    folder = tmp_path / "m"
    if spoil != "nothing there":
        tiny().save_pretrained(folder)
        file = folder / ("model.safetensors" if spoil == "truncated weights" else "config.json")
        file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(UserError, match=str(folder)):
        load(folder)
