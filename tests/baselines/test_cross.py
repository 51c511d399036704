from math import exp, log

import numpy as np
import polars as pl
import pytest
import torch

from arrange.baselines import cross
from arrange.baselines.fitting import FitArguments
from arrange.evaluation.runs import check_run
from arrange.models.encoders import free_vectors

PROMPTS = [[1, 10, 3], [1, 11, 12, 3]]
WEIGHTS = np.array([6, 3, 2]) / 11
LISTS = [(np.array([0, 1, 2]), WEIGHTS), (np.array([2, 1, 0]), WEIGHTS)]
ARGUMENTS = FitArguments(steps=300, batch_size=8, learning_rate=1e-2, warmup=0.1, seed=7, threads=1)
QUERY_IDS, DOC_IDS = ["q0", "q1"], ["d0", "d1", "d2", "d3", "d4"]


def test_the_loss_by_hand():
    scores, positive, negative = torch.tensor([[0.0, log(3)], [-log(3), 0.0]]), torch.eye(2), 1 - torch.eye(2)
    # query 0: sigmoid(0) = 1/2 wanted, sigmoid(ln 3) = 3/4 not; query 1: 1/2 wanted, 1/4 not
    expected = (log(2) + log(4) + log(2) + log(4 / 3)) / 2
    assert cross.sigmoid_loss(scores, positive, negative).item() == pytest.approx(expected)


def test_the_optimum_is_the_log_of_the_weight():
    """With each of D documents as M / D of the negatives: s = ln(w D / M), and the gradient is 0 there."""
    weights_D = torch.tensor([0.5, 0.3, 0.15, 0.05], dtype=torch.float64)
    scores_D = (weights_D * 4 / 10).log().requires_grad_()
    cross.sigmoid_loss(scores_D, weights_D, torch.full_like(weights_D, 10 / 4)).backward()
    assert scores_D.grad.abs().max() < 1e-15


def test_a_batch_is_the_lists_padded_and_then_the_negatives():
    lists = [(np.array([4, 2]), np.array([0.75, 0.25])), (np.array([1]), np.array([1.0]))]
    batch = cross.with_negatives(lists, [(1, np.array([3, 3])), (0, np.array([4, 0]))])
    assert batch["rows"].tolist() == [[1, 0, 3, 3], [4, 2, 4, 0]]
    assert batch["positive"].tolist() == [[1, 0, 0, 0], [0.75, 0.25, 0, 0]]
    assert batch["negative"].tolist() == [[0, 0, 1, 1]] * 2


def test_negatives_are_drawn_from_all_documents_alike_and_by_the_seed():
    drawn = np.stack([rows for _, rows in cross.examples(2, 5, 20, ARGUMENTS)])
    counts = np.bincount(drawn.ravel(), minlength=5)
    assert drawn.shape == (2400, 20)
    assert counts.min() > 9200  # 9,600 each expected, standard deviation 88
    other = cross.examples(2, 5, 20, FitArguments(**vars(ARGUMENTS) | {"seed": 8}))
    assert not np.array_equal(drawn, np.stack([rows for _, rows in other]))


def test_scores_are_those_of_the_concatenated_vectors_one_pair_at_a_time(encoder):
    model = cross.CrossEncoder(encoder(4), free_vectors(5, 4, seed=0, scale=1.0), seed=1)
    assert [tuple(layer.weight.shape) for layer in model.mlp[::2]] == [(8, 8), (8, 8), (8, 8), (1, 8)]
    run = cross.search(model, QUERY_IDS, PROMPTS, DOC_IDS)
    check_run(run, "cross")
    vectors_QN = model.encoder.vectors(PROMPTS)
    for query_id, doc_id, _, score in run.rows():
        vector = torch.cat([vectors_QN[QUERY_IDS.index(query_id)], model.table_DN[DOC_IDS.index(doc_id)]])
        assert model.mlp(vector).item() == pytest.approx(score, abs=1e-6)
    candidates = pl.DataFrame({"query_id": ["q1", "q1"], "doc_id": ["d0", "d4"]})
    few = cross.search(model, QUERY_IDS, PROMPTS, DOC_IDS, candidates=candidates)
    kept = run.join(candidates, on=["query_id", "doc_id"])
    assert few["doc_id"].to_list() == kept.sort("rank")["doc_id"].to_list()


def trained(encoder, arguments):
    model = cross.CrossEncoder(encoder(8), free_vectors(5, 8, seed=0, scale=1.0), seed=1)
    losses = cross.train(model, PROMPTS, LISTS, arguments, negatives=10)
    return losses, cross.search(model, QUERY_IDS, PROMPTS, DOC_IDS)


def test_training_finds_the_optimum_and_orders_the_lists(encoder):
    top = trained(encoder, ARGUMENTS)[1].filter(pl.col("rank") <= 3)
    assert top["doc_id"].to_list() == ["d0", "d1", "d2", "d2", "d1", "d0"]
    weights = [exp(score) * 10 / 5 for score in top["score"]]  # s = ln(w D / M)
    assert weights == pytest.approx([*WEIGHTS, *WEIGHTS], rel=0.2)


def test_the_same_seed_gives_the_same_run(encoder):
    variants = (FitArguments(**vars(ARGUMENTS) | {"seed": seed, "steps": 20}) for seed in (7, 7, 8))
    (losses_a, run_a), (losses_b, run_b), (losses_c, _) = (trained(encoder, arguments) for arguments in variants)
    assert losses_a == losses_b
    assert run_a.equals(run_b)
    assert losses_a != losses_c
