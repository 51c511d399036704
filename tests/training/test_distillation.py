"""The terms of a teacher: by hand, against loops in float64, and whatever the padding, the order and the batch."""

import math

import pytest
import torch

from arrange.training import distillation
from arrange.training.terms import Teacher

NAN = torch.nan
SCORES = torch.tensor([[-1.0, -2.5, -0.5, -4.0], [-3.0, -1.0, -9.0, 0.0]], dtype=torch.float64)
TEACHER = torch.tensor([[0.9, 0.3, NAN, 0.3], [0.2, 0.8, NAN, NAN]], dtype=torch.float64)
TERMS = {
    "kl": lambda scores, teacher: distillation.kl(scores, teacher, 0.5),
    "ranknet": distillation.ranknet,
    "margin_mse": lambda scores, teacher: distillation.margin_mse(scores, teacher, 0.5),
}
every_term = pytest.mark.parametrize("term", TERMS.values(), ids=TERMS)


def scored(scores, teacher):
    """(s, t) of each query's scored documents."""
    return [
        [(s, t) for s, t in zip(*rows, strict=True) if not math.isnan(t)]
        for rows in zip(scores.tolist(), teacher.tolist(), strict=True)
    ]


def kl_by_loops(scores, teacher, temperature):
    total = 0.0
    for pairs in scored(scores, teacher):
        mass_t = sum(math.exp(t / temperature) for _, t in pairs)
        mass_s = sum(math.exp(s) for s, _ in pairs)
        for s, t in pairs:
            target = math.exp(t / temperature) / mass_t
            total += target * math.log(target / (math.exp(s) / mass_s))
    return total / len(scores)


def ranknet_by_loops(scores, teacher):
    total = 0.0
    for pairs in scored(scores, teacher):
        place = [1 + sum(other > t for _, other in pairs) for _, t in pairs]
        losses, weights = 0.0, 0.0
        for i, (s_i, t_i) in enumerate(pairs):
            for j, (s_j, t_j) in enumerate(pairs):
                if t_i > t_j:
                    weights += 1 / (place[i] + place[j])
                    losses += math.log1p(math.exp(s_j - s_i)) / (place[i] + place[j])
        total += losses / weights if weights else 0.0
    return total / len(scores)


def margin_mse_by_loops(scores, teacher, temperature):
    total = 0.0
    for pairs in scored(scores, teacher):
        errors = [
            ((s_i - s_j) - (t_i - t_j) / temperature) ** 2
            for i, (s_i, t_i) in enumerate(pairs)
            for s_j, t_j in pairs[i + 1 :]
        ]
        total += sum(errors) / len(errors) if errors else 0.0
    return total / len(scores)


def test_kl_by_hand():
    """Teacher (1/2, 1/2), model (3/4, 1/4): 1/2 ln(2/3) + 1/2 ln 2 = 1/2 ln(4/3)."""
    scores, teacher = torch.tensor([[math.log(0.3), math.log(0.1)]]), torch.tensor([[5.0, 5.0]])
    assert distillation.kl(scores, teacher, 1.0).item() == pytest.approx(0.5 * math.log(4 / 3), rel=1e-6)


def test_ranknet_by_hand():
    """Places 1, 2, 3, so weights 1/3, 1/4, 1/5; all s equal, so each pair costs ln 2. Then the best leads by ln 3."""
    teacher = torch.tensor([[9.0, 5.0, 1.0]])
    assert distillation.ranknet(torch.zeros(1, 3), teacher).item() == pytest.approx(math.log(2), rel=1e-6)
    leading = torch.tensor([[math.log(3.0), 0.0, 0.0]])
    expected = ((1 / 3 + 1 / 4) * math.log(4 / 3) + 1 / 5 * math.log(2)) / (1 / 3 + 1 / 4 + 1 / 5)
    assert distillation.ranknet(leading, teacher).item() == pytest.approx(expected, rel=1e-6)


def test_margin_mse_by_hand():
    """t / 0.5 = 4, 2, 0 and s = 1, 0, 0: the gaps are off by 1, 3 and 2."""
    found = distillation.margin_mse(torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[2.0, 1.0, 0.0]]), 0.5)
    assert found.item() == pytest.approx((1 + 9 + 4) / 3, rel=1e-6)


def test_every_term_equals_loops_in_float64():
    torch.manual_seed(0)
    scores = 3 * torch.randn(5, 7, dtype=torch.float64)
    teacher = torch.randint(0, 4, (5, 7)).double()  # with ties
    teacher[torch.rand(5, 7) < 0.3] = NAN
    teacher[3] = NAN
    teacher[4, 1:] = NAN
    assert distillation.kl(scores, teacher, 0.7).item() == pytest.approx(kl_by_loops(scores, teacher, 0.7), abs=1e-12)
    assert distillation.ranknet(scores, teacher).item() == pytest.approx(ranknet_by_loops(scores, teacher), abs=1e-12)
    expected = margin_mse_by_loops(scores, teacher, 0.7)
    assert distillation.margin_mse(scores, teacher, 0.7).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("term", [TERMS["kl"], TERMS["margin_mse"]], ids=["kl", "margin_mse"])
def test_scores_that_are_the_teachers_in_nats_up_to_a_constant_cost_nothing(term):
    scores = torch.where(TEACHER.isnan(), SCORES, TEACHER / 0.5 - 7.0)
    assert term(scores, TEACHER).item() == pytest.approx(0, abs=1e-12)
    assert term(SCORES, TEACHER).item() > 0.1


@every_term
def test_gradients_are_those_of_the_value_and_are_0_without_a_teachers_score(term):
    scores = SCORES.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda s: term(s, TEACHER), scores)
    term(scores, TEACHER).backward()
    assert (scores.grad[TEACHER.isnan()] == 0).all()
    assert (scores.grad[~TEACHER.isnan()] != 0).all()


@every_term
def test_padding_order_and_the_split_of_a_batch_change_nothing(term):
    whole = term(SCORES, TEACHER).item()
    wide = torch.nn.functional.pad
    assert term(wide(SCORES, (0, 3)), wide(TEACHER, (0, 3), value=NAN)).item() == pytest.approx(whole, rel=1e-12)
    order = [2, 0, 3, 1]
    assert term(SCORES[:, order], TEACHER[:, order]).item() == pytest.approx(whole, rel=1e-12)
    alone = [term(SCORES[row : row + 1], TEACHER[row : row + 1]).item() for row in range(2)]
    assert sum(alone) / 2 == pytest.approx(whole, rel=1e-12)


@every_term
def test_a_query_with_fewer_than_two_scored_documents_adds_0_and_is_counted(term):
    scores = torch.cat([SCORES, SCORES]).requires_grad_()
    one = torch.tensor([[NAN, 0.5, NAN, NAN], [NAN] * 4], dtype=torch.float64)
    value = term(scores, torch.cat([TEACHER, one]))
    assert value.item() == pytest.approx(term(SCORES, TEACHER).item() / 2, rel=1e-12)
    value.backward()
    assert torch.isfinite(scores.grad).all()
    assert (scores.grad[2:] == 0).all()


@pytest.mark.parametrize("name", TERMS)
def test_the_term_of_a_batch_is_the_one_that_the_settings_name(name):
    batch = {"document_query": torch.tensor([0, 0, 0, 0, 1, 1]), "teacher": TEACHER.flatten()[:6]}
    settings = Teacher(term=name) if name == "ranknet" else Teacher(term=name, temperature=0.5)
    found = distillation.term(SCORES.flatten()[:6], batch, settings)
    assert found.item() == pytest.approx(TERMS[name](SCORES, TEACHER).item(), rel=1e-12)


def test_a_temperature_that_ranknet_would_not_read_is_refused():
    with pytest.raises(ValueError, match="ranknet reads the teacher's order alone; leave temperature out"):
        Teacher(term="ranknet", temperature=0.1)
