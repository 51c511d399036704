"""DPO and SimPO: by hand, against loops in float64, and whatever the padding, the order and the batch."""

import math

import pytest
import torch

from arrange.training import preferences
from arrange.training.terms import Preference

INF, NAN = torch.inf, torch.nan
SCORES = torch.tensor([[-1.0, -2.5, -0.5, -4.0], [-3.0, -1.0, 0.0, 0.0]], dtype=torch.float64)
REFERENCE = torch.tensor([[-2.0, -2.0, -1.5, -3.0], [-3.0, -3.0, 0.0, 0.0]], dtype=torch.float64)
LENGTHS = torch.tensor([[2.0, 5.0, 1.0, 4.0], [3.0, 2.0, 1.0, 1.0]], dtype=torch.float64)
RANKS = torch.tensor([[1.0, 2.0, 2.0, INF], [INF, 1.0, NAN, NAN]], dtype=torch.float64)
TERMS = {
    "dpo": lambda scores, other, ranks: preferences.dpo(scores, other, ranks, 0.4),
    "simpo": lambda scores, other, ranks: preferences.simpo(scores, other.abs() + 1, ranks, 2.0, 0.5),
}
every_term = pytest.mark.parametrize("term", TERMS.values(), ids=TERMS)


def by_loops(values, ranks, margin):
    total = 0.0
    for v, r in zip(values.tolist(), ranks.tolist(), strict=True):
        costs = [
            math.log1p(math.exp(margin - v[i] + v[j])) for i in range(len(v)) for j in range(len(v)) if r[i] < r[j]
        ]
        total += sum(costs) / len(costs) if costs else 0.0
    return total / len(values)


def test_dpo_by_hand():
    """The better one gained 1, the worse one lost 2: log(1 + e^(-0.5 * 3)). With no gain at all: ln 2."""
    scores, reference, ranks = torch.tensor([[-1.0, -5.0]]), torch.tensor([[-2.0, -3.0]]), torch.tensor([[1.0, INF]])
    found = preferences.dpo(scores, reference, ranks, beta=0.5)
    assert found.item() == pytest.approx(math.log1p(math.exp(-1.5)), rel=1e-6)
    assert preferences.dpo(scores, scores, ranks, beta=0.5).item() == pytest.approx(math.log(2), rel=1e-6)


def test_simpo_by_hand():
    """Means -1 and -2 nats a token: log(1 + e^(0.5 - 2 * 1))."""
    found = preferences.simpo(
        torch.tensor([[-3.0, -2.0]]), torch.tensor([[3.0, 1.0]]), torch.tensor([[1.0, 2.0]]), beta=2.0, margin=0.5
    )
    assert found.item() == pytest.approx(math.log1p(math.exp(-1.5)), rel=1e-6)


def test_both_terms_equal_loops_in_float64():
    torch.manual_seed(0)
    scores, reference = 3 * torch.randn(2, 5, 7, dtype=torch.float64)
    lengths = torch.randint(1, 6, (5, 7)).double()
    ranks = torch.randint(1, 4, (5, 7)).double()
    ranks[torch.rand(5, 7) < 0.3] = INF
    ranks[2] = 2.0
    ranks[3, 4:] = NAN
    found = preferences.dpo(scores, reference, ranks, 0.4).item()
    assert found == pytest.approx(by_loops(0.4 * (scores - reference), ranks, 0.0), rel=1e-12)
    found = preferences.simpo(scores, lengths, ranks, 2.0, 0.3).item()
    assert found == pytest.approx(by_loops(2 * scores / lengths, ranks, 0.3), rel=1e-12)


@every_term
def test_gradients_are_those_of_the_value(term):
    scores = SCORES.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda s: term(s, REFERENCE, RANKS), scores)
    term(scores, REFERENCE, RANKS).backward()
    assert (scores.grad[RANKS.isnan()] == 0).all()
    assert (scores.grad[RANKS == 1] < 0).all()  # the best ones rise
    assert (scores.grad[RANKS.isinf()] > 0).all()


@every_term
def test_padding_order_and_the_split_of_a_batch_change_nothing(term):
    whole = term(SCORES, REFERENCE, RANKS).item()
    wide = torch.nn.functional.pad
    parts = wide(SCORES, (0, 3)), wide(REFERENCE, (0, 3)), wide(RANKS, (0, 3), value=NAN)
    assert term(*parts).item() == pytest.approx(whole, rel=1e-12)
    order = [2, 0, 3, 1]
    found = term(SCORES[:, order], REFERENCE[:, order], RANKS[:, order]).item()
    assert found == pytest.approx(whole, rel=1e-12)
    alone = [term(SCORES[[row]], REFERENCE[[row]], RANKS[[row]]).item() for row in range(2)]
    assert sum(alone) / 2 == pytest.approx(whole, rel=1e-12)


@every_term
def test_a_query_without_a_pair_adds_0_and_is_counted(term):
    tied = torch.full_like(RANKS, 3.0)
    scores = torch.cat([SCORES, SCORES]).requires_grad_()
    value = term(scores, torch.cat([REFERENCE, REFERENCE]), torch.cat([RANKS, tied]))
    assert value.item() == pytest.approx(term(SCORES, REFERENCE, RANKS).item() / 2, rel=1e-12)
    value.backward()
    assert (scores.grad[2:] == 0).all()


def test_the_term_of_a_batch_is_the_one_that_the_settings_name():
    query = torch.tensor([0, 0, 0, 0, 1, 1])
    path = torch.where(torch.arange(5) < LENGTHS.flatten()[:6, None], 0, -1)
    ranks = RANKS.flatten()[:6]
    batch = {"document_query": query, "path": path, "rank": torch.where(ranks.isinf(), NAN, ranks)}
    scores, reference = SCORES.flatten()[:6], REFERENCE.flatten()[:6]
    found = preferences.term(scores, batch, Preference(term="dpo"), reference)
    assert found.item() == pytest.approx(preferences.dpo(SCORES, REFERENCE, RANKS, 0.4).item(), rel=1e-12)
    found = preferences.term(scores, batch, Preference(term="simpo", beta=2.0, margin=0.3))
    assert found.item() == pytest.approx(preferences.simpo(SCORES, LENGTHS, RANKS, 2.0, 0.3).item(), rel=1e-12)


def test_a_margin_that_dpo_would_not_read_is_refused():
    with pytest.raises(ValueError, match="dpo has none, its reference says how far; leave it out, or take simpo"):
        Preference(term="dpo", margin=0.1)
