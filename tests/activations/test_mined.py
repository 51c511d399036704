"""The mined functions against the published numbers, and what is different about Turbulent."""

import math

import pytest
import torch

from arrange.activations.mined import gelu_sinc, gelusine, gmtu, turbulent


@pytest.mark.parametrize(
    ("function", "at_1", "at_minus_1", "at_half"),
    [
        (gelusine, 0.92549, -0.2428, 0.39367),
        (gelu_sinc, 0.84134, -0.15866, 0.45578),
        (gmtu, 0.84107, -0.84107, 0.65417),
    ],
)
def test_published_values(function, at_1, at_minus_1, at_half):
    x = torch.tensor([1.0, -1.0, 0.5], dtype=torch.float64)
    assert function(x).tolist() == pytest.approx([at_1, at_minus_1, at_half], abs=5e-6)


def test_sinc_is_normalised_so_that_whole_numbers_keep_their_gelu():
    whole = torch.tensor([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0], dtype=torch.float64)
    gelu = torch.nn.functional.gelu
    assert gelu_sinc(whole).tolist() == pytest.approx(gelu(whole).tolist(), abs=1e-12)
    assert (gelu_sinc(whole + 0.5) - gelu(whole + 0.5)).abs().min() > 1e-4


def plain(values):
    """The formula as it is written, one float at a time."""
    mean = sum(values) / len(values)
    deviation = math.sqrt(sum((x - mean) ** 2 for x in values) / len(values))
    return [
        math.copysign(math.log(1 + abs(x) / 2), x)
        + 0.2 * math.exp(-(((x - mean) / deviation) ** 2) / 2) * math.sin(2 * x)
        for x in values
    ]


def test_turbulent_standardises_over_the_whole_tensor():
    values = [-3.0, -0.4, 0.0, 0.5, 1.0, 7.0]
    found = turbulent(torch.tensor(values, dtype=torch.float64).reshape(2, 3))
    assert found.flatten().tolist() == pytest.approx(plain(values), abs=1e-9)


@pytest.mark.parametrize("values", [[0.7], [0.7, 0.7, 0.7]])
def test_turbulent_of_equal_values_has_z_0(values):
    expected = math.log(1.35) + 0.2 * math.sin(1.4)
    x = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    assert turbulent(x).tolist() == pytest.approx([expected] * len(values), abs=1e-9)
    slope = torch.autograd.grad(turbulent(x).sum(), x)[0]
    assert slope.tolist() == pytest.approx([0.5 / 1.35 + 0.4 * math.cos(1.4)] * len(values), abs=1e-9)


def test_turbulents_slope_at_0_is_that_of_both_terms():
    """1/2 of the logarithm; 0.2 exp(0) 2 cos 0 of the other, at the mean of a symmetric tensor."""
    x = torch.tensor([-2.0, 0.0, 2.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.grad(turbulent(x)[1], x)[0][1].item() == pytest.approx(0.5 + 0.4, abs=1e-9)


def test_turbulents_gradient_is_that_of_finite_differences():
    x = torch.tensor([-3.0, -0.4, 0.5, 1.0, 7.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(turbulent, x)
