"""The rules against worked values and against each other (the identities of arXiv 2601.05588's losses)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrange.errors import UserError
from arrange.training import losses, packing

RANKS = st.lists(st.sampled_from([1.0, 2.0, 3.0, 7.0]), min_size=1, max_size=8).map(lambda ranks: [1.0, *ranks])


def shares(log_D):
    return np.exp(log_D) / np.exp(log_D).sum()


def test_item_weights_are_powers_of_the_rank():
    weights = losses.weights("item", {"alpha": 2}, [1, 2, 4])
    assert np.exp(weights.node_D) == pytest.approx([1, 1 / 4, 1 / 16])
    assert weights.node_D is not weights.target_D
    assert np.array_equal(weights.node_D, weights.target_D)


def test_alpha_0_weighs_all_alike_and_infinity_the_best_alone():
    assert np.exp(losses.weights("item", {"alpha": 0}, [1, 2, 3]).node_D).tolist() == [1, 1, 1]
    assert np.exp(losses.weights("item", {"alpha": np.inf}, [1, 1, 3]).node_D).tolist() == [1, 1, 0]


def test_ntp_spreads_over_all_documents_of_rank_1():
    assert shares(losses.weights("ntp", {}, [2, 1, 1, None]).node_D).tolist() == [0, 0.5, 0.5, 0]


def test_stepwise_falls_by_one_nth_and_ties_share_the_better_step():
    assert np.exp(losses.weights("stepwise", {}, [1, 2, 3, 4]).node_D) == pytest.approx([1, 3 / 4, 2 / 4, 1 / 4])
    assert np.exp(losses.weights("stepwise", {}, [2, 1, 2, None]).node_D) == pytest.approx([2 / 3, 1, 2 / 3, 0])


def test_token_is_ntp_at_the_nodes_and_powers_in_the_targets():
    weights = losses.weights("token", {"beta": 1}, [1, 2, 4])
    assert np.exp(weights.node_D).tolist() == [1, 0, 0]
    assert np.exp(weights.target_D) == pytest.approx([1, 1 / 2, 1 / 4])


def test_geometric_has_the_same_gap_everywhere():
    weights = losses.weights("geometric", {"rho": 0.7}, [1, 2, 3, 9])
    assert np.diff(weights.target_D) == pytest.approx(np.array([1, 1, 6]) * np.log(0.7))
    assert np.exp(weights.node_D).tolist() == [1, 1, 1, 1]


@given(ranks=RANKS, exponent=st.sampled_from([0.0, 0.5, 1.0, 3.0, np.inf]))
def test_the_family_of_combined(ranks, exponent):
    def same(one, other):
        assert np.array_equal(one.node_D, other.node_D)
        assert np.array_equal(one.target_D, other.target_D)

    given_ = {"alpha": exponent, "beta": exponent}
    same(losses.weights("combined", given_, ranks), losses.weights("item", {"alpha": exponent}, ranks))
    same(
        losses.weights("combined", {"alpha": np.inf, "beta": exponent}, ranks),
        losses.weights("token", {"beta": exponent}, ranks),
    )
    same(losses.weights("token", {"beta": np.inf}, ranks), losses.weights("ntp", {}, ranks))


@pytest.mark.parametrize(("rule", "parameters"), [("ntp", {}), ("item", {"alpha": 1.0}), ("geometric", {"rho": 0.5})])
def test_judged_negatives_weigh_nothing(rule, parameters):
    weights = losses.weights(rule, parameters, [1, None, 2])
    assert np.exp(weights.node_D)[1] == np.exp(weights.target_D)[1] == 0


def test_the_worked_example_of_the_paper():
    """dog, cat, cats, deer, fish at ranks 1..5, characters as tokens, beta = 1."""
    docids = [[*map(ord, word), 0] for word in ("dog", "cat", "cats", "deer", "fish")]
    query_D = np.zeros(5, np.int64)
    found = packing.tries(packing.catalogue(docids), query_D, np.arange(5))
    weights = losses.weights("combined", {"alpha": 0, "beta": 1}, [1, 2, 3, 4, 5])
    # gamma = 0 makes every node's weight 1, so that the edges' weights are the targets
    target_E = packing.edge_weights(found, query_D, weights, gamma=0, normalised=True)
    children = {chr(token): target_E[edge] for edge, token in enumerate(found.token_E) if found.parent_E[edge] == -1}
    assert children == pytest.approx({"d": 0.5474, "c": 0.3650, "f": 0.0876}, abs=5e-5)
    cat = found.path_DT[1, 2]  # the node "cat"
    after = {found.token_E[edge]: target_E[edge] for edge in np.flatnonzero(found.parent_E == cat)}
    assert after == pytest.approx({0: 0.6, ord("s"): 0.4})


@pytest.mark.parametrize(
    ("rule", "parameters", "words"),
    [
        ("itme", {"alpha": 1}, ["unknown loss 'itme'", "did you mean 'item'"]),
        ("item", {}, ["got the parameters: none", "give exactly: alpha"]),
        ("ntp", {"alpha": 1.0}, ["got the parameters: alpha", "give exactly: none"]),
        ("item", {"alpha": -1.0}, ["alpha of loss 'item' is -1.0", "at least 0"]),
        ("geometric", {"rho": 1.0}, ["rho of loss 'geometric' is 1.0", "between 0 and 1"]),
    ],
)
def test_mistakes_are_named(rule, parameters, words):
    with pytest.raises(UserError) as caught:
        losses.weights(rule, parameters, [1])
    assert all(word in str(caught.value) for word in words)


def test_a_list_without_a_rank_is_refused():
    with pytest.raises(UserError, match="no ranked document"):
        losses.weights("ntp", {}, [None, None])
