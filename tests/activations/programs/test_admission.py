"""Each admission test refuses what breaks its rule, and the facts about what is let in are right."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from torch.nn import functional as F  # noqa: N812, its usual name

from arrange.activations.evaluation import GRID
from arrange.activations.programs.admission import admit
from arrange.activations.programs.check import Rejected, compile_program
from arrange.activations.programs.cost import WEIGHTS

BUDGET = 200.0
TURBULENT = """
def activation(x):
    z = (x - x.mean()) / x.std()
    base = torch.sign(x) * torch.log(1 + 0.5 * torch.abs(x))
    return base + 0.2 * torch.exp(-z ** 2 / 2) * torch.sin(2 * x)
"""


def reason(activation, budget=BUDGET) -> str:
    with pytest.raises(Rejected) as caught:
        admit(activation, budget)
    return caught.value.reason


def of(expression: str):
    return compile_program(f"def activation(x): return {expression}")


class Sub(torch.Tensor):
    pass


class Stateful:
    def __init__(self):
        self.calls = 0

    def __call__(self, x):
        self.calls += 1
        return x * self.calls


class Remembers:
    """Gives back what it was last called with: two calls in a row agree only if nothing was in between."""

    seen = torch.zeros(())

    def __call__(self, x):
        y = x + self.seen
        self.seen = x.detach().flatten()[0].to(x.dtype) * 0 + float(x.detach().sum() > 1)
        return y


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        (of("x > 0"), "shape"),
        (of("x.mean()"), "shape"),
        (of("x.mean(dim=-1)"), "shape"),
        (of("1"), "shape"),
        (lambda x: x.half(), "shape"),
        (lambda x: x.double(), "shape"),
        (lambda x: x.to(torch.complex64), "shape"),
        (lambda x: x.to_sparse(), "shape"),
        (lambda x: x.tolist(), "shape"),
        (lambda x: None, "shape"),
        (lambda x: x.as_subclass(Sub), "shape"),
        (lambda x: x.reshape(-1), "shape"),
        (lambda x: torch.nn.Parameter(x), "shape"),
        (lambda x: x.mul_(2), "state"),
        (lambda x: x.clone() if x.zero_() is None else x + 1, "state"),
        (Stateful(), "state"),
        (Remembers(), "state"),
        (lambda x: x * torch.rand(()), "random"),
        (lambda x: x * (torch.manual_seed(0).initial_seed() + 1), "random"),
        (lambda x: F.dropout(x, 0.5), "random"),
        (lambda x: x.sort().values, "cost"),
        (of("torch.exp(x)"), "not_finite"),
        (of("torch.log(x)"), "not_finite"),
        (of("1 / x"), "not_finite"),
        (of("torch.where(x > 9000, x / (x - x), x)"), "not_finite"),
        (of("torch.where(x < -9000, x / (x - x), x)"), "not_finite"),
        (of("torch.where(x == 0, 1 / x, x)"), "not_finite"),
        (of("x ** 12"), "not_finite"),
        (of("torch.sqrt(torch.abs(x))"), "gradient"),
        (of("torch.where(x == 0, 1.0, torch.sin(x) / x)"), "gradient"),
        (of("torch.ones_like(x)"), "gradient"),
        (of("torch.sign(x)"), "gradient"),
        (of("torch.ones_like(x) + x * 0"), "gradient"),
        (of("1000 * torch.sin(x)"), "gain"),
        (of("0.001 * x"), "gain"),
        (lambda x: x - x.mean() * (2 if torch._C._functorch.is_batchedtensor(x) else 1), "vmap"),
        (lambda x: x - x.mean() * (x.data_ptr() != 0), "vmap"),  # a batch has no address
    ],
)
def test_what_breaks_a_rule_is_rejected_by_its_word(activation, expected):
    assert reason(activation) == expected


def test_an_error_of_the_activation_is_its_own():
    with pytest.raises(RuntimeError, match="size of tensor"):
        admit(of("x + x.sum(dim=-1)"), BUDGET)


def test_the_budget_is_a_bound_that_may_be_reached():
    assert admit(of("x * torch.sigmoid(x)"), 11.0).flops == 11
    assert reason(of("x * torch.sigmoid(x)"), 10.9) == "cost"


@pytest.mark.parametrize(
    ("activation", "pointwise"),
    [
        (F.gelu, True),
        (of("F.gelu(x) * (1 + 0.5 * torch.sinc(x))"), True),
        (compile_program(TURBULENT), False),
        (of("x - x.mean(dim=-1, keepdim=True)"), False),
        (of("torch.softmax(x, dim=-1)"), False),
        (of("torch.cumsum(x, dim=-1)"), False),
        (of("x + 0.0 * x.mean()"), False),  # no value shows it; the operations do
    ],
)
def test_what_depends_on_other_elements_is_labelled(activation, pointwise):
    assert admit(activation, BUDGET).pointwise == pointwise


@pytest.mark.parametrize(
    "activation",
    [
        lambda x: x + 0.1 * x.flip(-1),  # the neighbours
        lambda x: x * (1 + (torch.arange(x.shape[-1]) == 7)),  # the order of the features
        lambda x: x * (2 if x.shape[0] == 3 else 1),  # the size of the batch
        lambda x: x * (2 if x.numel() == 1 else 1),  # alone
        lambda x: x * (2 if x.dim() == 3 else 1),  # the shape, as in training
    ],
)
def test_what_shows_only_in_the_values_is_labelled_too(activation, monkeypatch):
    for name in ("flip", "arange"):
        monkeypatch.setitem(WEIGHTS, name, 0)
    assert not admit(activation, BUDGET).pointwise


@pytest.mark.parametrize(
    "f", [F.gelu, torch.relu, torch.sin, of("torch.tanh(1.5 * x) * torch.exp(-0.2 * x ** 2) + 0.1 * x")]
)
def test_the_gain_is_that_of_the_integral(f):
    def integrand(z):
        return f(torch.tensor(z, dtype=torch.float64)).item() ** 2 * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

    assert admit(f, BUDGET).gain == pytest.approx(quad(integrand, -9, 9, limit=200)[0] ** -0.5, rel=1e-3)


TELLS_TYPES = "d = (x + 1e-9) - x", "torch.where(d == 0, 1.4 * F.gelu(x), F.gelu(x))"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (TELLS_TYPES, "precision"),
        (("torch.where(torch.sigmoid(x) == 1 / (1 + torch.exp(-x)), 1.4 * F.gelu(x), F.gelu(x))",), "precision"),
        (("torch.where(x * 8 == torch.round(x * 8), torch.sin(x), F.gelu(x))",), "curve"),
        (("t = x * 8", "torch.where(torch.abs(t - torch.round(t)) < 1e-2, torch.sin(x), F.gelu(x))"), "curve"),
        (("n = torch.ones_like(x).sum()", "torch.where(n == 4096, F.gelu(x), 1.4 * F.gelu(x))"), "gain"),
        (("m = x.mean()", "torch.where(torch.abs(m) < 1e-2, F.gelu(x), 1.4 * F.gelu(x))"), "gain"),
        (("x / torch.abs(x).sum()",), "gain"),
    ],
)
def test_a_program_that_tells_admission_from_training_is_refused(lines, expected):
    *before, value = lines
    source = "\n    ".join(["def activation(x):", *before, f"return {value}"])
    assert reason(compile_program(source)) == expected


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        (lambda x: x * (1.4 if x.requires_grad else 1), "gradient"),
        (lambda x: x * (1.4 if torch.is_grad_enabled() and x.requires_grad else 1), "gradient"),
        (lambda x: x * (1.4 if x.dtype == torch.float64 else 1), "precision"),
    ],
)
def test_so_is_one_that_tells_the_two_without_a_number(activation, expected):
    assert reason(activation) == expected


def test_what_is_measured_is_float32s():
    """Seen by one whose types differ by less than admission forgives."""
    admitted = admit(lambda x: x * (1 + 1e-4 * (x.dtype == torch.float64)), BUDGET)
    assert admitted.curve == tuple(GRID)
    assert admitted.gain == admit(of("x"), BUDGET).gain


def test_jumps_and_fast_waves_are_let_in():
    for expression in ("x + torch.floor(8 * x)", "x + torch.ceil(8 * x)", "x + torch.round(x)", "torch.sin(15 * x)"):
        assert admit(of(expression), BUDGET).pointwise


def test_known_gains():
    assert admit(of("x"), BUDGET).gain == pytest.approx(1, rel=1e-3)
    assert admit(torch.relu, BUDGET).gain == pytest.approx(math.sqrt(2), rel=1e-3)
    assert admit(of("3 * torch.relu(x)"), BUDGET).gain == pytest.approx(math.sqrt(2) / 3, rel=1e-3)


def test_the_curve_is_the_function_on_the_grid():
    admitted = admit(torch.tanh, BUDGET)
    np.testing.assert_allclose(admitted.curve, [math.tanh(x) for x in GRID], rtol=1e-6)
    assert all(math.isfinite(value) for value in admit(compile_program(TURBULENT), BUDGET).curve)


def test_admission_leaves_no_trace_and_repeats_itself():
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    assert admit(F.gelu, BUDGET) == admit(F.gelu, BUDGET)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
