"""The functions against mpmath with 50 digits, value and slope, near 0 and far away."""

import mpmath as mp
import pytest
import torch

from arrange.activations.classical import CLASSICAL
from arrange.activations.mined import MINED
from arrange.activations.programs.canonical import canonical
from arrange.activations.programs.check import compile_program
from arrange.activations.programs.files import source_of
from arrange.activations.search.evolve import KNOWN, SEEDS

mp.mp.dps = 50


def gelu(x):
    return x * mp.ncdf(x)


def logistic(s):
    return mp.mpf("3.7") * s * (1 - s)


TRUE = {
    "relu": lambda x: max(x, 0),
    "leaky_relu": lambda x: x if x > 0 else x / 100,
    "elu": lambda x: x if x > 0 else mp.expm1(x),
    "selu": lambda x: mp.mpf("1.0507009873554804934") * (x if x > 0 else mp.mpf("1.6732632423543772848") * mp.expm1(x)),
    "gelu": gelu,
    "gelu_tanh": lambda x: x * (1 + mp.tanh(mp.sqrt(2 / mp.pi) * (x + mp.mpf("0.044715") * x**3))) / 2,
    "silu": lambda x: x / (1 + mp.exp(-x)),
    "mish": lambda x: x * mp.tanh(mp.log(1 + mp.exp(x))),
    "softplus": lambda x: mp.log(1 + mp.exp(x)),
    "softsign": lambda x: x / (1 + abs(x)),
    "tanh": mp.tanh,
    "sigmoid": lambda x: 1 / (1 + mp.exp(-x)),
    "sin": mp.sin,
    "snake": lambda x: x + mp.sin(x) ** 2,
    "gelusine": lambda x: gelu(x) + mp.sin(x) / 10,
    "gelu_sinc": lambda x: gelu(x) * (1 + mp.sincpi(x) / 2),
    "gmtu": lambda x: mp.tanh(x * 3 / 2) * mp.exp(-(x**2) / 5) + x / 10,
    "logistic_map": lambda x: x * logistic(logistic(logistic(1 / (1 + mp.exp(-x))))),
    "phase_switch": lambda x: x / (1 + mp.exp(-x)) + mp.sin(2 * x if x >= 0 else 2 * x + mp.pi) / 5,
}
NOT_POINTWISE = ("turbulent", "hypercomplex_gate", "fft_gate")
FUNCTIONS = {name: function for name, function in (CLASSICAL | MINED).items() if name not in NOT_POINTWISE}
POINTS = [-1e4, -30.0, -8.0, -2.5, -1.0, -0.5, -1e-3, -1e-8, 1e-30, 1e-8, 1e-3, 0.5, 1.0, 2.5, 8.0, 19.0, 30.0, 1e4]


def value_and_slope(function, points, dtype=torch.float64):
    x = torch.tensor(points, dtype=dtype, requires_grad=True)
    y = function(x)
    assert (y.shape, y.dtype) == (x.shape, dtype)
    return y.tolist(), torch.autograd.grad(y.sum(), x)[0].tolist()


def test_all_functions_have_a_truth():
    assert FUNCTIONS.keys() == TRUE.keys()


@pytest.mark.parametrize("name", TRUE)
@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-12), (torch.float32, 2e-6)])
def test_values_and_slopes(name, dtype, close):
    points = torch.tensor(POINTS, dtype=dtype).tolist()
    if dtype == torch.float32:
        points = [x for x in points if abs(x) < 100]  # sin in float32 rounds its argument
    values, slopes = value_and_slope(FUNCTIONS[name], points, dtype)
    for x, value, slope in zip(points, values, slopes, strict=True):
        assert value == pytest.approx(float(TRUE[name](mp.mpf(x))), rel=close, abs=close)
        assert slope == pytest.approx(float(mp.diff(TRUE[name], mp.mpf(x), h=mp.mpf(10) ** -33)), rel=close, abs=close)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_nothing_is_lost_to_infinity(name):
    values, slopes = value_and_slope(FUNCTIONS[name], [-1e18, -1e10, 0.0, 1e10, 1e18], torch.float32)
    assert torch.tensor([values, slopes]).isfinite().all()


@pytest.mark.parametrize(
    ("name", "slope"),
    [
        ("relu", 0), ("leaky_relu", 0.01), ("elu", 1), ("selu", 1.758099340847376), ("gelu", 0.5), ("silu", 0.5),
        ("mish", 0.6), ("softplus", 0.5), ("softsign", 1), ("tanh", 1), ("sigmoid", 0.25), ("sin", 1), ("snake", 1),
        ("gelusine", 0.6), ("gelu_sinc", 0.75), ("gmtu", 1.6),
        ("gelu_tanh", 0.5), ("logistic_map", 0.705956401), ("phase_switch", 0.9),
    ],
)  # fmt: skip
def test_the_slope_at_0(name, slope):
    assert value_and_slope(FUNCTIONS[name], [0.0])[1] == pytest.approx([slope])


@pytest.mark.parametrize("name", CLASSICAL)
def test_the_programs_that_a_search_begins_with_are_these_functions(name):
    x = torch.tensor(POINTS, dtype=torch.float64)
    assert canonical(KNOWN[name]) == canonical(source_of(CLASSICAL[name]))
    assert torch.equal(compile_program(KNOWN[name])(x), CLASSICAL[name](x))


def test_the_two_forms_of_gelu_are_near_each_other():
    x = torch.linspace(-8, 8, 16001, dtype=torch.float64)
    assert 4e-4 < (CLASSICAL["gelu_tanh"](x) - CLASSICAL["gelu"](x)).abs().max() < 5e-4
    torch.testing.assert_close(CLASSICAL["gelu_tanh"](x), torch.nn.functional.gelu(x, approximate="tanh"))


def test_no_two_of_them_are_the_same():
    assert len({canonical(source) for source in SEEDS.values()}) == len(SEEDS)
