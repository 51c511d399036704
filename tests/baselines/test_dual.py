from math import log

import gpus
import numpy as np
import polars as pl
import pytest
import torch

from arrange.baselines import dual
from arrange.baselines.fitting import FitArguments, order, padded_lists
from arrange.errors import UserError
from arrange.evaluation.runs import check_run
from arrange.models.encoders import free_vectors

PROMPTS = [[1, 10, 3], [1, 11, 12, 3], [1, 13, 3]]
WEIGHTS = np.array([6, 3, 2]) / 11  # 1/r of three ranks
LISTS = [(np.array(rows), WEIGHTS) for rows in ([0, 1, 2], [2, 1, 0], [4, 0, 3])]
ARGUMENTS = FitArguments(steps=300, batch_size=6, learning_rate=1e-2, warmup=0.1, seed=7, threads=1)
QUERY_IDS, DOC_IDS = ["q0", "q1", "q2"], ["d0", "d1", "d2", "d3", "d4"]


def test_the_loss_is_the_weighted_cross_entropy_over_all_documents():
    scores_BD = torch.tensor([[1.0, 2.0, 5.0], [4.0, 2.0, 2.0]]).log()  # softmax: 1/8 2/8 5/8 and 1/2 1/4 1/4
    rows_BK, weights_BK = padded_lists([(np.array([1, 0]), np.array([0.75, 0.25])), (np.array([2]), np.array([1.0]))])
    assert rows_BK.tolist() == [[1, 0], [2, 0]]
    expected = (0.75 * log(4) + 0.25 * log(8) + log(4)) / 2
    assert dual.weighted_softmax(scores_BD, rows_BK, weights_BK).item() == pytest.approx(expected)


def test_queries_come_in_epochs():
    rows = order(5, ARGUMENTS)
    assert len(rows) == ARGUMENTS.steps * ARGUMENTS.batch_size
    assert sorted(rows[:5]) == sorted(rows[5:10]) == [0, 1, 2, 3, 4]
    assert rows != order(5, FitArguments(**vars(ARGUMENTS) | {"seed": 8}))


def trained(encoder, arguments):
    model = dual.DualEncoder(encoder(4), free_vectors(5, 4, seed=0, scale=0.1), temperature=0.05)
    return model, dual.train(model, PROMPTS, LISTS, arguments)


def test_training_finds_the_optimum_where_the_softmax_is_the_weights(encoder):
    model, losses = trained(encoder, ARGUMENTS)
    entropy = -float(WEIGHTS @ np.log(WEIGHTS))
    assert len(losses) == ARGUMENTS.steps
    assert entropy - 1e-3 < losses[-1] < entropy + 0.03
    vectors_QN = model.encoder.vectors(PROMPTS)
    probability_QD = (vectors_QN @ model.table_DN.T / 0.05).softmax(dim=1)
    for q, (rows, weights) in enumerate(LISTS):
        assert probability_QD[q, rows].tolist() == pytest.approx(weights.tolist(), abs=0.05)


def test_the_same_seed_gives_the_same_weights(encoder):
    variants = (FitArguments(**vars(ARGUMENTS) | {"seed": seed, "steps": 20}) for seed in (7, 7, 8))
    (a, losses_a), (b, losses_b), (_, losses_c) = (trained(encoder, arguments) for arguments in variants)
    assert losses_a == losses_b
    assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))
    assert losses_a != losses_c


def test_a_process_that_sees_two_gpus_trains_on_one(encoder, monkeypatch):
    few = FitArguments(**vars(ARGUMENTS) | {"steps": 4})
    one = trained(encoder, few)[1]
    gpus.see_two(monkeypatch)
    assert trained(encoder, few)[1] == one


def test_a_run_is_by_inner_product_over_all_or_over_candidates(encoder):
    model = dual.DualEncoder(encoder(4), free_vectors(5, 4, seed=0, scale=1.0))
    scores_QD = (model.encoder.vectors(PROMPTS) @ model.table_DN.T).detach()
    run = dual.search(model, QUERY_IDS, PROMPTS, DOC_IDS, depth=3)
    check_run(run, "dual")
    order_QK = scores_QD.argsort(dim=1, descending=True)[:, :3]
    assert run["doc_id"].to_list() == [DOC_IDS[row] for row in order_QK.flatten()]
    assert run["score"].to_list() == pytest.approx(scores_QD.gather(1, order_QK).flatten().tolist(), abs=1e-6)

    candidates = pl.DataFrame({"query_id": ["q2", "q0", "q0"], "doc_id": ["d4", "d1", "d3"]})
    few = dual.search(model, QUERY_IDS, PROMPTS, DOC_IDS, candidates=candidates)
    first, second = ("d1", "d3") if scores_QD[0, 1] > scores_QD[0, 3] else ("d3", "d1")
    assert few.select("query_id", "doc_id", "rank").rows() == [("q0", first, 1), ("q0", second, 2), ("q2", "d4", 1)]


def test_a_loss_that_is_no_number_stops_the_training(encoder):
    model = dual.DualEncoder(encoder(4), free_vectors(5, 4, seed=0, scale=1.0))
    with torch.no_grad():
        model.table_DN[0] = torch.inf
    before = torch.are_deterministic_algorithms_enabled()
    with pytest.raises(UserError, match=r"the loss is (inf|nan) at step 1"):
        dual.train(model, PROMPTS, LISTS, ARGUMENTS)
    assert torch.are_deterministic_algorithms_enabled() == before
