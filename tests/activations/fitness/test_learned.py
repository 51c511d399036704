"""Networks that learn their activation: against torch's own modules, and against networks with a fixed activation."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from activations.fitness.test_training import ARRAYS, SETTINGS
from activations.small import HELD_OUT, fitness, rung
from torch import nn

from arrange.activations.feedforward import mix
from arrange.activations.fitness.learned import KINDS, fit_learned, measure_learned
from arrange.activations.fitness.training import fit
from benchmarks._one_by_one import Network, begin, train

FUNCTIONS = (F.gelu, torch.sin, torch.tanh)


class Alone(Network):
    """One network with the coefficients as the paper writes them: free ones, or a gate's of the layer's input."""

    def __init__(self, kind, inputs, width, depth):
        super().__init__(torch.sin, 1.0, inputs, width, depth)
        shapes = [(3, *((layer.in_features,) if kind == "moa" else ())) for layer in self.layers[:-1]]
        self.coefficients = nn.ParameterList(torch.full(shape, float(kind == "la")) for shape in shapes)
        self.kind = kind

    def forward(self, x_ND):
        for layer, coefficient in zip(self.layers, self.coefficients, strict=False):
            a = coefficient if self.kind == "la" else torch.sigmoid(x_ND @ coefficient.T)
            gain = SETTINGS["gain"] * (1 if self.kind == "la" else 2)
            x_ND = gain * mix(FUNCTIONS, layer(x_ND), a)
        return self.layers[-1](x_ND)[:, 0]


@pytest.mark.parametrize("kind", KINDS)
def test_all_members_at_once_learn_what_each_learns_alone(kind):
    together = fit_learned(kind, FUNCTIONS, ARRAYS, SETTINGS)
    for p, s, r in np.ndindex(3, 2, 2):
        network = Alone(kind, 4, SETTINGS["width"], SETTINGS["depth"])
        begin(network, int(ARRAYS["keys"][p, s]), int(ARRAYS["inputs"][p]))
        train(network, *(torch.from_numpy(ARRAYS[name][p]) for name in ("train_x", "train_y")), SETTINGS, r)
        for name in ("train", "valid", "ood"):
            alone = network(torch.from_numpy(ARRAYS[f"{name}_x"][p])).detach()
            np.testing.assert_allclose(together[name][p, s, r], alone, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_both_begin_as_the_network_with_the_sum_and_end_elsewhere(kind):
    def total(x):
        return F.gelu(x) + torch.sin(x) + torch.tanh(x)

    started = {**SETTINGS, "steps": 0}
    same = fit(total, ARRAYS, started)["ood"]
    np.testing.assert_allclose(fit_learned(kind, FUNCTIONS, ARRAYS, started)["ood"], same, rtol=1e-4, atol=1e-5)
    ends = fit_learned(kind, FUNCTIONS, ARRAYS, SETTINGS)["ood"]
    assert np.abs(ends - fit(total, ARRAYS, SETTINGS)["ood"]).mean() > 0.01  # the coefficients learn


def test_they_are_measured_on_the_problems_and_seeds_of_all_activations():
    tested = fitness(test=rung(5, 2, 3, (1e-3, 1e-2), HELD_OUT))
    for kind in KINDS:
        measured = measure_learned(kind, FUNCTIONS, tested, seed=5)
        assert [(one.problem, one.seed) for one in measured] == [(f"{name} 0", s) for name in HELD_OUT for s in (0, 1)]
        assert all(math.isfinite(one.ood) and one.rung == "test" for one in measured)


@pytest.mark.parametrize("kind", KINDS)
def test_scales_of_the_dictionarys_functions_make_no_difference(kind):
    tested = fitness(test=rung(5, 1, 5, (1e-2,), HELD_OUT))
    found, scaled = (
        [one.ood for one in measure_learned(kind, (lambda x, k=k: k * F.gelu(x), torch.sin), tested, seed=5)]
        for k in (1, 8)
    )
    assert found == pytest.approx(scaled, rel=1e-4)
