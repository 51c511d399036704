"""The history of a training, and the value of the checkpoint that was kept."""

import polars as pl
import pytest

from arrange.training.history import history_of, kept_value

BEST = {"load_best_model_at_end": True}
HISTORY = pl.DataFrame(
    {
        "step": [10, 20, 40, 45],
        "validation_loss": [None, 2.0, 2.5, None],
        "validation_nDCG@10": [None, 0.25, 0.2, None],
    }
)


def test_a_step_is_one_row_without_timings():
    log = [
        {"step": 5, "loss": 2.0, "learning_rate": 0.1, "epoch": 1.0},
        {"step": 10, "eval_quality": 0.5, "eval_loss": 1.5},
        {"step": 10, "loss": 1.0, "grad_norm": 3.0},
        {"step": 10, "train_runtime": 9.0},
    ]
    assert history_of(log) == [
        {"step": 5, "loss": 2.0, "learning_rate": 0.1},
        {"step": 10, "validation_loss": 1.5, "validation_quality": 0.5, "loss": 1.0, "grad_norm": 3.0},
    ]


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        ({}, 0.2),  # the last one
        (BEST | {"metric_for_best_model": "nDCG@10"}, 0.25),  # greater is better: its name doesn't end with "loss"
        (BEST | {"metric_for_best_model": "eval_nDCG@10", "greater_is_better": False}, 0.2),
        (BEST, 0.25),  # by the loss, where less is better
        (BEST | {"greater_is_better": True}, 0.2),
    ],
)
def test_the_value_is_that_of_the_checkpoint_that_training_kept(arguments, value):
    assert kept_value(HISTORY, "validation_nDCG@10", arguments) == value


def test_an_evaluation_before_the_first_step_is_of_no_checkpoint():
    first = pl.DataFrame({"step": [0], "validation_loss": [0.1], "validation_nDCG@10": [0.9]})
    assert kept_value(pl.concat([first, HISTORY]), "validation_nDCG@10", BEST) == 0.25
    assert kept_value(first, "validation_nDCG@10", BEST) is None


def test_what_was_never_logged_has_no_value():
    assert kept_value(HISTORY, "validation_AP", BEST) is None
