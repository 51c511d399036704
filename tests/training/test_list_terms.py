"""The terms on whole documents against values worked by hand, plain loops in float64, and their limits."""

import math

import ir_measures
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from arrange.training import list_terms

INF, NAN = math.inf, math.nan
TERMS = {
    "hinge": lambda scores, ranks: list_terms.hinge(scores, ranks, margin=0.3),
    "plackett_luce": list_terms.plackett_luce,
    "list_mle": list_terms.list_mle,
    "lambda_loss": list_terms.lambda_loss,
    "approx_ndcg": lambda scores, ranks: list_terms.approx_ndcg(scores, ranks, temperature=0.7),
    "neural_ndcg": lambda scores, ranks: list_terms.neural_ndcg(scores, ranks, temperature=0.7),
}
each_term = pytest.mark.parametrize("name", TERMS)
SCORES = torch.tensor([[-1.0, -2.0, -0.5], [-3.0, 0.0, 0.0]], dtype=torch.float64)
ORDER = torch.tensor([[1.0, 2.0, INF], [1.0, NAN, NAN]], dtype=torch.float64)  # 1st, 2nd, a negative; one alone


# -- by hand


def test_hinge_by_hand():
    # pairs (1st, 2nd): max(0, 0.3 + 1 - 2) = 0; (1st, negative): 0.3 + 1 - 0.5; (2nd, negative): 0.3 + 2 - 0.5
    first = (0 + 0.8 + 1.8) / 3
    assert list_terms.hinge(SCORES[:1], ORDER[:1], margin=0.3).item() == pytest.approx(first)
    assert list_terms.hinge(SCORES, ORDER, margin=0.3).item() == pytest.approx(
        (first + 0) / 2
    )  # the second has no pair


def test_plackett_luce_and_list_mle_by_hand():
    first, second, third = np.exp(SCORES[0].numpy())
    lambda_ = np.array([1 / np.log2(2), 1 / np.log2(3)])
    terms = -np.log([first / (first + second + third), second / (second + third)])
    assert list_terms.plackett_luce(SCORES, ORDER).item() == pytest.approx(lambda_ @ terms / lambda_.sum() / 2)
    assert list_terms.list_mle(SCORES, ORDER).item() == pytest.approx(terms.sum() / 2)


def test_list_mle_is_the_likelihood_of_the_order_and_ties_stay_in_each_others_sum():
    likelihoods = []
    for ranks in ([1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]):
        ranks_BH = torch.tensor([ranks], dtype=torch.float64)
        likelihoods.append(math.exp(-list_terms.list_mle(SCORES[:1], ranks_BH).item()))
    assert sum(likelihoods) == pytest.approx(1)
    a, b, c = SCORES[0].exp().tolist()
    tied = torch.tensor([[1.0, 1.0, 2.0]], dtype=torch.float64)
    expected = -math.log(a / (a + b + c)) - math.log(b / (a + b + c)) - math.log(c / c)
    assert list_terms.list_mle(SCORES[:1], tied).item() == pytest.approx(expected)


def test_the_weights_of_lambda_loss_by_hand():
    """Ranks 1, 2 and a negative stand at the places 2, 3, 1."""
    best = 1 / math.log2(2) + 0.5 / math.log2(3)
    gains, places = [1 / best, 0.5 / best, 0.0], [2, 3, 1]
    inverse = {place: 1 / math.log2(1 + place) for place in (1, 2, 3)}
    expected = 0.0
    for i, j, delta in ((0, 1, 1 - 1 / math.log2(3)), (0, 2, 1 - 1 / math.log2(3)), (1, 2, 1 / math.log2(3) - 1 / 2)):
        rho = abs(inverse[places[i]] - inverse[places[j]])
        bits = math.log2(1 + math.exp(SCORES[0, j] - SCORES[0, i]))
        expected += (rho + 10 * delta) * (gains[i] - gains[j]) * bits
    assert list_terms.lambda_loss(SCORES, ORDER).item() == pytest.approx(expected / 2)


def test_approx_ndcg_by_hand():
    """Scores 0 and ln 3, temperature 1: each is ahead of the other by 1/4 and 3/4."""
    scores, ranks = torch.tensor([[0.0, math.log(3)]]).double(), torch.tensor([[1.0, 2.0]]).double()
    best = 1 + 0.5 / math.log2(3)
    expected = 1 - (1 / math.log2(1 + 1.75) + 0.5 / math.log2(1 + 1.25)) / best
    assert list_terms.approx_ndcg(scores, ranks, 1.0).item() == pytest.approx(expected)


def test_neural_ndcg_by_hand():
    """Two documents, d = s_1 - s_2: both rows' logits differ by d, so P = [[p, 1 - p], [1 - p, p]], p = sigmoid(d)."""
    scores, ranks = torch.tensor([[0.0, math.log(3)]]).double(), torch.tensor([[1.0, 2.0]]).double()
    p, best = 1 / 4, 1 + 0.5 / math.log2(3)
    expected = 1 - ((p + (1 - p) / 2) + ((1 - p) + p / 2) / math.log2(3)) / best
    assert list_terms.neural_ndcg(scores, ranks, 1.0).item() == pytest.approx(expected)


def test_relaxed_sorting_has_columns_that_sum_to_1():
    """With equal gains the nDCG is 1 whatever the scores, if each document has one place in all."""
    scores = torch.tensor([[0.0, 0.1, 2.5, 2.6, 1.1]]).double()
    ranks = torch.ones(1, 5).double()
    assert list_terms.neural_ndcg(scores, ranks, 1.0).item() == pytest.approx(0, abs=1e-6)


# -- plain loops


def documents(scores_H, ranks_H):
    """The documents of a query, padding left out: (score, rank)."""
    pairs = zip(scores_H, ranks_H, strict=True)
    return [(float(score), float(rank)) for score, rank in pairs if not math.isnan(rank)]


def better(docs):
    return [(i, j) for i in range(len(docs)) for j in range(len(docs)) if docs[i][1] < docs[j][1]]


def loop_hinge(docs):
    losses = [max(0.0, 0.3 - docs[i][0] + docs[j][0]) for i, j in better(docs)]
    return sum(losses) / len(losses) if losses else 0.0


def loop_likelihood(docs, discounted):
    total = weights = 0.0
    for score, rank in docs:
        if rank == INF:
            continue
        weight = 1 / math.log2(rank + 1) if discounted else 1.0
        total += weight * (np.logaddexp.reduce([other for other, r in docs if r >= rank]) - score)
        weights += weight
    return total / weights if discounted else total


def gains_of(docs):
    gains = [0.0 if rank == INF else 1 / rank for _, rank in docs]
    best = sum(gain / math.log2(2 + place) for place, gain in enumerate(sorted(gains, reverse=True)))
    return [gain / best for gain in gains]


def discount(place):
    return 1 / math.log2(1 + place)


def loop_lambda_loss(docs):
    order = sorted(range(len(docs)), key=lambda d: (-docs[d][0], -docs[d][1], d))
    place, gains = {d: p for p, d in enumerate(order, 1)}, gains_of(docs)

    total = 0.0
    for i, j in better(docs):
        apart = abs(place[i] - place[j])
        weight = abs(discount(place[i]) - discount(place[j])) + 10 * abs(discount(apart) - discount(apart + 1))
        total += weight * abs(gains[i] - gains[j]) * np.logaddexp(0, docs[j][0] - docs[i][0]) / math.log(2)
    return total


def sigmoid(x):
    return 1 / (1 + math.exp(-x)) if x > 0 else math.exp(x) / (1 + math.exp(x))


def loop_approx_ndcg(docs, temperature=0.7):
    value = 0.0
    for i, gain in enumerate(gains_of(docs)):
        others = (docs[j][0] - docs[i][0] for j in range(len(docs)) if j != i)
        value += gain / math.log2(2 + sum(sigmoid(apart / temperature) for apart in others))
    return 1 - value


def loop_neural_ndcg(docs, temperature=0.7):
    n, scores = len(docs), [score for score, _ in docs]
    P = np.empty((n, n))
    for i in range(n):
        row = [(n - 1 - 2 * i) * scores[j] - sum(abs(scores[j] - other) for other in scores) for j in range(n)]
        P[i] = np.exp((np.array(row) - max(row)) / temperature)
        P[i] /= P[i].sum()
    for _ in range(30):
        P /= P.sum(0, keepdims=True)
        P /= P.sum(1, keepdims=True)
    return 1 - sum(P[i] @ gains_of(docs) / math.log2(2 + i) for i in range(n))


LOOPS = {
    "hinge": loop_hinge,
    "plackett_luce": lambda docs: loop_likelihood(docs, discounted=True),
    "list_mle": lambda docs: loop_likelihood(docs, discounted=False),
    "lambda_loss": loop_lambda_loss,
    "approx_ndcg": loop_approx_ndcg,
    "neural_ndcg": loop_neural_ndcg,
}
SCORE = st.integers(-80, 0).map(lambda n: n / 8)  # eighths: ties are likely
LIST = st.lists(st.tuples(SCORE, st.sampled_from([1.0, 2.0, 3.0, 5.0, INF])), max_size=5).flatmap(
    lambda rest: st.tuples(SCORE, st.just(1.0)).map(lambda first: [first, *rest])
)


def batch_of(lists, width=0):
    """scores_BH and ranks_BH of lists of (score, rank), padded at the end."""
    width = max(width, *map(len, lists))
    scores = [[score for score, _ in docs] + [0.0] * (width - len(docs)) for docs in lists]
    ranks = [[rank for _, rank in docs] + [NAN] * (width - len(docs)) for docs in lists]
    return torch.tensor(scores, dtype=torch.float64), torch.tensor(ranks, dtype=torch.float64)


@each_term
@given(lists=st.lists(LIST, min_size=1, max_size=3))
def test_every_term_equals_plain_loops_over_its_definition(name, lists):
    expected = np.mean([LOOPS[name](docs) for docs in lists])
    assert TERMS[name](*batch_of(lists)).item() == pytest.approx(expected, rel=1e-9, abs=1e-9)


@each_term
@given(docs=LIST, data=st.data())
def test_order_and_padding_change_nothing(name, docs, data):
    value = TERMS[name](*batch_of([docs])).item()
    shuffled = data.draw(st.permutations(docs))
    assert TERMS[name](*batch_of([shuffled], width=9)).item() == pytest.approx(value, rel=1e-9, abs=1e-9)


@each_term
@given(lists=st.lists(LIST, min_size=4, max_size=4))
def test_a_batch_is_the_mean_of_its_pieces(name, lists):
    pieces = [TERMS[name](*batch_of(lists[start : start + 2])).item() for start in (0, 2)]
    assert TERMS[name](*batch_of(lists)).item() == pytest.approx(np.mean(pieces), rel=1e-9, abs=1e-9)


# -- limits


@pytest.mark.parametrize("name", ["approx_ndcg", "neural_ndcg"])
@pytest.mark.parametrize("ranks", [[1, 2, 3, 4, INF], [2, 1, 1, 3, 3], [1, INF, INF, INF, INF]])
def test_at_low_temperature_it_is_1_less_ndcg(name, ranks):
    """As the package ir_measures computes it from the gains 10^6 / rank, on which the loss agrees with the measure."""
    gains = {f"{d}": 0 if rank == INF else round(10**6 / rank) for d, rank in enumerate(ranks)}
    generator = np.random.default_rng(1)
    for _ in range(10):
        scores = generator.permutation(5) * 1.5 - 40
        run = {f"{d}": float(score) for d, score in enumerate(scores)}
        ndcg = ir_measures.calc_aggregate([ir_measures.nDCG @ 10], {"q": gains}, {"q": run})[ir_measures.nDCG @ 10]
        scores_BH, ranks_BH = batch_of([list(zip(scores, ranks, strict=True))], width=7)
        value = getattr(list_terms, name)(scores_BH, ranks_BH, temperature=0.01).item()
        assert value == pytest.approx(1 - ndcg, abs=1e-5)


def test_lambda_loss_bounds_what_is_lost_in_ndcg():
    """Its part NDCG-Loss2, MU times, bounds 1 - nDCG: log2(1 + exp(s_j - s_i)) is 1 or more for a wrong pair."""
    generator = np.random.default_rng(2)
    for _ in range(50):
        docs = list(zip(generator.normal(size=6) * 3, [1, 2, 3, 4, 5, INF], strict=True))
        lost = 1 - sum(
            gain / math.log2(1 + sum(other >= score for other, _ in docs))
            for gain, (score, _) in zip(gains_of(docs), docs, strict=True)
        )
        assert list_terms.lambda_loss(*batch_of([docs])).item() >= 10 * lost - 1e-9


def test_terms_of_order_do_not_depend_on_a_constant_added_to_all_scores():
    for name, term in TERMS.items():
        assert term(SCORES - 7, ORDER).item() == pytest.approx(term(SCORES, ORDER).item()), name


# -- gradients


@each_term
def test_gradients_are_right(name):
    ranks_BH = torch.tensor([[2.0, 1.0, 2.0, INF], [3.0, 1.0, NAN, NAN], [1.0, NAN, NAN, NAN]], dtype=torch.float64)
    scores_BH = torch.tensor([[-1.0, -2.3, -0.4, -0.9], [0.0, -0.7, 0.0, 0.0], [-1.0, 0.0, 0.0, 0.0]]).double()
    assert torch.autograd.gradcheck(lambda scores: TERMS[name](scores, ranks_BH), scores_BH.requires_grad_())


@each_term
@pytest.mark.parametrize(
    "docs",
    [
        [(-1.0, 1.0)],
        [(-1.0, 1.0), (-1.0, 1.0), (-1.0, 1.0)],
        [(-1.0, 1.0), (-1.0, 2.0), (-1.0, INF)],
        [(-2e4, 1.0), (-3.0, 2.0), (-1e4, INF)],
        [(-2e4, 2.0), (-2e4 - 1, 1.0)],
        [(-1.0, 1.0), *[(-2.0, INF)] * 4],
    ],
    ids=["single", "all tied", "equal scores", "very low", "close and very low", "judged negatives"],
)
def test_values_and_gradients_are_finite_in_float32(name, docs):
    scores_BH, ranks_BH = batch_of([docs, [(-1.0, 1.0), (-2.0, 2.0)]], width=6)
    scores_BH = scores_BH.float().requires_grad_()
    value = TERMS[name](scores_BH, ranks_BH.float())
    value.backward()
    assert value.isfinite()
    assert scores_BH.grad.isfinite().all()
    assert (scores_BH.grad[ranks_BH.isnan()] == 0).all()
    assert value.item() == pytest.approx(TERMS[name](scores_BH.detach().double(), ranks_BH).item(), rel=1e-4, abs=1e-5)


@each_term
@pytest.mark.parametrize("gap", [0.01, 0.5, 5.0])
def test_a_step_against_the_gradient_brings_a_wrong_pair_together(name, gap):
    scores_BH, ranks_BH = batch_of([[(-2.0, 1.0), (-2.0 + gap, 2.0)]], width=3)
    TERMS[name](scores_BH.requires_grad_(), ranks_BH).backward()
    if name == "approx_ndcg" and gap > 1.2 * 0.7:  # its local optimum, see its docstring
        assert scores_BH.grad[0, 0] > scores_BH.grad[0, 1]
    else:
        assert scores_BH.grad[0, 0] < scores_BH.grad[0, 1]


@pytest.mark.parametrize(("gap", "sign"), [(1.15, -1), (1.25, 1)])
def test_approx_ndcg_turns_round_where_a_wrong_pair_is_1_2_temperatures_apart(gap, sign):
    scores_BH, ranks_BH = batch_of([[(-2.0, 1.0), (-2.0 + 3 * gap, 2.0)]])
    list_terms.approx_ndcg(scores_BH.requires_grad_(), ranks_BH, temperature=3.0).backward()
    assert math.copysign(1, scores_BH.grad[0, 0]) == sign
