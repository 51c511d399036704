"""The losses against worked values and against each other (the identities of arXiv 2601.05588)."""

import inspect
from typing import get_args, get_type_hints

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrange.errors import UserError
from arrange.training import list_terms, losses, packing

RANKS = st.lists(st.sampled_from([1.0, 2.0, 3.0, 7.0]), min_size=1, max_size=8).map(lambda ranks: [1.0, *ranks])


def shares(log_D):
    return np.exp(log_D) / np.exp(log_D).sum()


def test_item_weights_are_powers_of_the_rank():
    weights = losses.Item(alpha=2).weights([1, 2, 4])
    assert np.exp(weights.node_D) == pytest.approx([1, 1 / 4, 1 / 16])
    assert weights.node_D is not weights.target_D
    assert np.array_equal(weights.node_D, weights.target_D)


def test_alpha_0_weighs_all_alike_and_infinity_the_best_alone():
    assert np.exp(losses.Item(alpha=0).weights([1, 2, 3]).node_D).tolist() == [1, 1, 1]
    assert np.exp(losses.Item(alpha=np.inf).weights([1, 1, 3]).node_D).tolist() == [1, 1, 0]


def test_ntp_spreads_over_all_documents_of_rank_1():
    assert shares(losses.Ntp().weights([2, 1, 1, None]).node_D).tolist() == [0, 0.5, 0.5, 0]


def test_stepwise_falls_by_one_nth_and_ties_share_the_better_step():
    assert np.exp(losses.Stepwise().weights([1, 2, 3, 4]).node_D) == pytest.approx([1, 3 / 4, 2 / 4, 1 / 4])
    assert np.exp(losses.Stepwise().weights([2, 1, 2, None]).node_D) == pytest.approx([2 / 3, 1, 2 / 3, 0])


def test_token_is_ntp_at_the_nodes_and_powers_in_the_targets():
    weights = losses.Token(beta=1).weights([1, 2, 4])
    assert np.exp(weights.node_D).tolist() == [1, 0, 0]
    assert np.exp(weights.target_D) == pytest.approx([1, 1 / 2, 1 / 4])


def test_geometric_has_the_same_gap_everywhere():
    weights = losses.Geometric(rho=0.7).weights([1, 2, 3, 9])
    assert np.diff(weights.target_D) == pytest.approx(np.array([1, 1, 6]) * np.log(0.7))
    assert np.exp(weights.node_D).tolist() == [1, 1, 1, 1]


@given(ranks=RANKS, exponent=st.sampled_from([0.0, 0.5, 1.0, 3.0, np.inf]))
def test_the_family_of_combined(ranks, exponent):
    def same(one, other):
        assert np.array_equal(one.weights(ranks).node_D, other.weights(ranks).node_D)
        assert np.array_equal(one.weights(ranks).target_D, other.weights(ranks).target_D)

    same(losses.Combined(alpha=exponent, beta=exponent), losses.Item(alpha=exponent))
    same(losses.Combined(alpha=np.inf, beta=exponent), losses.Token(beta=exponent))
    same(losses.Token(beta=np.inf), losses.Ntp())


@pytest.mark.parametrize("loss", [losses.Ntp(), losses.Item(alpha=1.0), losses.Geometric(rho=0.5)], ids=repr)
def test_judged_negatives_weigh_nothing(loss):
    weights = loss.weights([1, None, 2])
    assert np.exp(weights.node_D)[1] == np.exp(weights.target_D)[1] == 0


def test_the_worked_example_of_the_paper():
    """dog, cat, cats, deer, fish at ranks 1..5, characters as tokens, beta = 1."""
    docids = [[*map(ord, word), 0] for word in ("dog", "cat", "cats", "deer", "fish")]
    query_D = np.zeros(5, np.int64)
    found = packing.tries(packing.docid_tokens(docids), query_D, np.arange(5))
    weights = losses.Combined(alpha=0, beta=1).weights([1, 2, 3, 4, 5])
    # gamma = 0 makes every node's weight 1, so that the edges' weights are the targets
    target_E = packing.edge_weights(found, query_D, weights, gamma=0, normalised=True)
    children = {chr(token): target_E[edge] for edge, token in enumerate(found.token_E) if found.parent_E[edge] == -1}
    assert children == pytest.approx({"d": 0.5474, "c": 0.3650, "f": 0.0876}, abs=5e-5)
    cat = found.path_DT[1, 2]  # the node "cat"
    after = {found.token_E[edge]: target_E[edge] for edge in np.flatnonzero(found.parent_E == cat)}
    assert after == pytest.approx({0: 0.6, ord("s"): 0.4})


def test_only_terms_with_a_weight_that_compare_whole_documents_need_judged_negatives():
    assert not losses.Terms(margin=0.5, temperature=0.1, prefix=losses.Prefix(weight=1.0)).compare_documents
    for term in list_term_names():
        assert losses.Terms(**{term: 0.1}).compare_documents, term


def list_term_names():
    """The terms of `list_terms`: its public functions."""
    public = inspect.getmembers(list_terms, inspect.isfunction)
    return [name for name, term in public if name[0] != "_" and term.__module__ == list_terms.__name__]


def test_every_loss_has_a_rule_of_its_own():
    rules = [get_args(get_type_hints(loss)["rule"]) for loss in get_args(losses.Loss)]
    assert all(len(names) == 1 for names in rules)
    assert len(set(rules)) == len(rules)


def test_a_parameter_that_a_loss_lacks_is_refused():
    with pytest.raises(TypeError, match="beta"):
        losses.Item(alpha=1.0, beta=1.0)


def test_a_list_without_a_rank_is_refused():
    with pytest.raises(UserError, match="no ranked document"):
        losses.Ntp().weights([None, None])
