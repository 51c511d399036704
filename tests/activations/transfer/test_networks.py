"""Batched training against networks trained one by one with torch's own modules, and how errors and rates are told."""

from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from torch import nn

from arrange.activations.classical import CLASSICAL
from arrange.activations.evaluation import Admitted
from arrange.activations.feedforward import AsModule
from arrange.activations.mined import turbulent
from arrange.activations.settings import Networks
from arrange.activations.transfer import networks
from arrange.activations.transfer.networks import DataSet, Points, measure

GELU = CLASSICAL["gelu"]
PLAIN = Admitted(flops=1.0, pointwise=True, gain=1.0, curve=())
SMALL = Networks(hidden=(8, 5), steps=25, batch=6, warmup=4, rates=(3e-3, 3e-2), seeds=(1, 5))


def data(name, seed, classes=False):
    """A data set of 20, 9 and twice 7 points with 3 inputs, and 2 outputs or classes."""
    generator = torch.Generator().manual_seed(seed)

    def points(count, at=0.0):
        x_ND = torch.randn(count, 3, generator=generator) + at
        y_NO = torch.stack([x_ND[:, 0] * x_ND[:, 1], x_ND.sum(1)], 1)
        return Points(x_ND, torch.eye(2)[(y_NO[:, 0] > 0).long()] if classes else y_NO)

    return DataSet(name, "toy", classes, points(20), points(9), {"near": points(7, 1.0), "far": points(7, 4.0)})


def one_by_one(activation, one, training, seed, rate):
    """The squared errors on validation, near and far points of a single network, trained by the book."""
    alone = replace(training, seeds=(seed,), rates=(rate,))
    widths = [3, *training.hidden, 2]
    modules = []
    for d, h in pairwise(widths):
        modules += [nn.Linear(d, h), AsModule(activation)]
    network = nn.Sequential(*modules[:-1])
    with torch.no_grad():
        for parameter, first in zip(network.parameters(), networks.first_layers([one], alone), strict=True):
            parameter.copy_(first[0].mT.reshape(parameter.shape))
    optimiser = torch.optim.Adam(network.parameters())
    for step, index_B in enumerate(networks.batches([one], alone)[:, 0]):
        warm = min(1.0, (step + 1) / training.warmup)
        optimiser.param_groups[0]["lr"] = rate * warm * 0.5 * (1 + np.cos(np.pi * step / training.steps))
        outputs, targets = network(one.train.x_ND[index_B]), one.train.y_NO[index_B]
        loss = nn.CrossEntropyLoss() if one.classes else nn.MSELoss()
        optimiser.zero_grad()
        loss(outputs, targets.argmax(1) if one.classes else targets).backward()
        optimiser.step()
    variance = one.train.y_NO.numpy().var(axis=0).mean()
    errors = []
    for points in (one.valid, *one.shifted.values()):
        outputs = network(points.x_ND).detach()
        predicted = outputs.softmax(1) if one.classes else outputs
        errors.append(float(((predicted - points.y_NO) ** 2).mean() / variance))
    return errors


@pytest.mark.parametrize("classes", [False, True])
@pytest.mark.parametrize("name", ["gelu", "sin"])
def test_members_together_are_what_they_are_one_by_one(classes, name):
    sets = [data("a", 1, classes), data("b", 2, classes)]
    found = {(m.problem, m.seed): m for m in measure(CLASSICAL[name], PLAIN, sets, SMALL)}
    assert len(found) == 8
    for one, seed in product(sets, SMALL.seeds):
        errors = {rate: one_by_one(CLASSICAL[name], one, SMALL, seed, rate) for rate in SMALL.rates}
        best = min(SMALL.rates, key=lambda rate: errors[rate][0])
        for place, shift in enumerate(("near", "far"), start=1):
            m = found[f"{one.name} {shift}", seed]
            assert m.rate == best
            assert (m.valid, m.ood) == pytest.approx((errors[best][0], errors[best][place]), rel=1e-3)


def test_the_rate_is_picked_without_a_look_at_the_shifted_points():
    one = data("a", 1)
    swapped = replace(one, shifted={name: Points(x, 100 - y) for name, (x, y) in one.shifted.items()})
    found, other = measure(GELU, PLAIN, [one], SMALL), measure(GELU, PLAIN, [swapped], SMALL)
    assert [(m.rate, m.valid) for m in found] == [(m.rate, m.valid) for m in other]
    assert all(b.ood > a.ood for a, b in zip(found, other, strict=True))


def test_a_member_that_diverges_disturbs_no_other():
    sets = [data("a", 1)]
    alone = measure(GELU, PLAIN, sets, replace(SMALL, rates=(3e-3,)))
    assert measure(GELU, PLAIN, sets, replace(SMALL, rates=(3e-3, 1e30))) == alone
    broken = measure(lambda x: torch.exp(x**2), PLAIN, sets, replace(SMALL, rates=(1e3,)))
    assert {m.ood for m in broken} == {float("inf")}


def test_the_gain_takes_out_the_scale_of_an_activation():
    quiet = measure(GELU, PLAIN, [data("a", 1)], SMALL)
    loud = measure(lambda x: 8 * GELU(x), replace(PLAIN, gain=1 / 8), [data("a", 1)], SMALL)
    assert loud == quiet
    assert measure(lambda x: 8 * GELU(x), PLAIN, [data("a", 1)], SMALL) != quiet


def test_members_do_not_see_each_others_batch_statistics():
    sets, marked = [data("a", 1), data("b", 2)], replace(PLAIN, pointwise=False)
    alone = measure(turbulent, marked, sets[:1], replace(SMALL, seeds=(1,)))
    together = [m for m in measure(turbulent, marked, sets, SMALL) if m.problem.startswith("a ") and m.seed == 1]
    for one, other in zip(alone, together, strict=True):
        assert (one.rate, one.ood) == (other.rate, pytest.approx(other.ood, rel=1e-4))
    assert measure(turbulent, PLAIN, sets[:1], SMALL)[0].ood != pytest.approx(alone[0].ood, rel=1e-4)


def test_data_sets_of_different_shapes_go_together():
    small = data("b", 2)
    small = replace(small, train=Points(*(part[:11] for part in small.train)))
    sets = [data("a", 1), small, data("c", 3, classes=True)]
    found = measure(GELU, PLAIN, sets, SMALL)
    assert found == [m for one in sets for m in measure(GELU, PLAIN, [one], SMALL)]


@pytest.mark.parametrize("classes", [False, True])
def test_errors_by_hand(classes):
    """An activation of zeros says 0, or even odds. Targets 1 and -1, then 3: 9 / 1. Classes: 1/4 over 1/4."""
    x_ND = torch.zeros(2, 3)
    train = Points(x_ND, torch.eye(2) if classes else torch.tensor([[1.0], [-1.0]]))
    shifted = Points(x_ND, torch.eye(2)[[0, 0]] if classes else torch.tensor([[3.0], [3.0]]))
    sets = [DataSet("hand", "toy", classes, train, train, {"s": shifted})]
    (m,) = measure(lambda x: 0 * x, PLAIN, sets, replace(SMALL, rates=(0.0,), seeds=(3,)))
    assert (m.train, m.valid, m.ood) == pytest.approx((1.0, 1.0, 1.0 if classes else 9.0))
    assert (m.rung, m.problem, m.family, m.seed, m.rate) == ("transfer", "hand s", "toy", 3, 0.0)


def test_an_error_beyond_all_numbers_is_infinite():
    one = data("a", 1)
    far = {"far": Points(one.valid.x_ND, one.valid.y_NO + 1e30)}  # its square is no float32
    assert measure(GELU, PLAIN, [replace(one, shifted=far)], SMALL)[0].ood == float("inf")


def test_the_same_call_gives_the_same_bits_and_leaves_torchs_random_numbers_alone():
    state = torch.get_rng_state()
    first = measure(GELU, PLAIN, [data("a", 1)], SMALL)
    torch.manual_seed(99)
    assert measure(GELU, PLAIN, [data("a", 1)], SMALL) == first
    torch.set_rng_state(state)


def test_first_weights_keep_the_variance_and_differ_between_seeds():
    wide = replace(SMALL, hidden=(400, 300))
    layers = networks.first_layers([data("a", 1), data("b", 1)], wide)
    assert [tuple(layer.shape) for layer in layers[:4]] == [(4, 3, 400), (4, 1, 400), (4, 400, 300), (4, 1, 300)]
    assert layers[2].std().item() == pytest.approx(400**-0.5, rel=0.01)
    assert torch.equal(layers[2][0], layers[2][2])  # the data sets' members of one seed
    assert not torch.equal(layers[2][0], layers[2][1])
    assert all(bias.abs().sum() == 0 for bias in layers[1::2])
