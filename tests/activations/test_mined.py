"""The mined functions against the published numbers, and what is different about Turbulent."""

import math

import pytest
import torch

from arrange.activations.mined import (
    MINED,
    fft_gate,
    gelu_sinc,
    gelusine,
    gmtu,
    hypercomplex_gate,
    logistic_map,
    phase_switch,
    turbulent,
)
from arrange.activations.programs.admission import admit
from arrange.activations.programs.check import compile_program
from arrange.activations.programs.files import source_of


@pytest.mark.parametrize(
    ("function", "at_1", "at_minus_1", "at_half"),
    [
        (gelusine, 0.92549, -0.2428, 0.39367),
        (gelu_sinc, 0.84134, -0.15866, 0.45578),
        (gmtu, 0.84107, -0.84107, 0.65417),
        (logistic_map, 0.72316, -0.72316, 0.45060),
        (phase_switch, 0.91292, -0.08708, 0.47952),
    ],
)
def test_values_of_the_docstrings(function, at_1, at_minus_1, at_half):
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


X_BD = torch.randn(3, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_the_hypercomplex_gate_is_the_real_part_of_the_cardioid():
    z_BD = torch.complex(X_BD, X_BD.mean(-1, keepdim=True).expand(3, 8))
    cardioid = 0.5 * (1 + torch.cos(z_BD.angle())) * z_BD
    torch.testing.assert_close(hypercomplex_gate(X_BD), cardioid.real, rtol=0, atol=1e-5)
    symmetric = torch.tensor([-2.0, -1.0, 1.0, 2.0])
    torch.testing.assert_close(hypercomplex_gate(symmetric), torch.relu(symmetric), rtol=0, atol=1e-6)


@pytest.mark.parametrize("features", [3, 7, 8])
def test_the_fft_gate_is_that_of_the_fft(features):
    spectrum = torch.fft.rfft(X_BD[:, :features])
    lowest = torch.zeros_like(spectrum)
    lowest[:, 1] = spectrum[:, 1]
    wave = torch.fft.irfft(lowest, n=features)
    torch.testing.assert_close(fft_gate(X_BD[:, :features]), X_BD[:, :features] * torch.sigmoid(wave))


@pytest.mark.parametrize("name", MINED)
def test_each_is_admitted_within_the_budget_and_marked_where_it_is_not_pointwise(name):
    admitted = admit(compile_program(source_of(MINED[name])), 60.0)
    assert admitted.pointwise == (name not in ("turbulent", "hypercomplex_gate", "fft_gate"))
