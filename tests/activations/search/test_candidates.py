"""Which programs are one function: up to scale and sign of input and output, and spelling."""

from dataclasses import replace

import pytest

from arrange.activations.evaluation import GRID, Admitted
from arrange.activations.programs.admission import admit
from arrange.activations.programs.canonical import canonical
from arrange.activations.programs.check import compile_program
from arrange.activations.search.candidates import is_among, same


def of(expression):
    source = f"def activation(x): return {expression}"
    return canonical(source), admit(compile_program(source), 100.0)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("F.gelu(x)", "2.24 * F.gelu(x)"),
        ("F.silu(x)", "0.565 * F.silu(x)"),
        ("F.silu(x)", "x * torch.sigmoid(x)"),
        ("F.silu(x) + x * torch.tanh(x / 3) ** 3", "x * (torch.sigmoid(x) + torch.tanh(x * 0.33333334) ** 3)"),
        ("F.gelu(x)", "0.5 * x + 0.5 * x * torch.erf(0.70710678 * x)"),
        ("F.gelu(x)", "-F.gelu(x)"),
        ("torch.sin(x)", "-3 * torch.sin(x)"),
        ("F.gelu(x)", "F.gelu(1.02 * x)"),
        ("F.gelu(x)", "F.gelu(0.681 * x)"),  # a winner of an earlier search
        ("F.gelu(x)", "F.gelu(-0.3 * x) / 2"),
        ("torch.sin(x)", "torch.sin(2.9 * x)"),
        ("F.relu(x)", "F.relu(0.61 * x)"),
        ("F.softsign(x)", "F.softsign(2.3 * x)"),
        ("torch.tanh(x) + 0.3 * x", "torch.tanh(2 * x) + 0.6 * x"),
        ("x - x.mean()", "x - torch.mean(x)"),
    ],
)
def test_scale_sign_and_spelling_make_no_other_function(one, other):
    assert same(of(one), of(other))
    assert same(of(other), of(one))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("F.gelu(x)", "F.gelu(x) + 0.01 * torch.sin(3 * x)"),
        ("F.gelu(x)", "F.silu(x)"),
        ("F.gelu(x)", "F.silu(1.702 * x)"),
        ("F.relu(x)", "F.leaky_relu(x, 0.01)"),
        ("torch.tanh(x)", "torch.erf(x)"),
        ("torch.tanh(x) + 0.3 * x", "torch.tanh(2 * x) + 0.3 * x"),
        ("x - x.mean()", "2 * (x - x.mean())"),  # not pointwise: its text
    ],
)
def test_other_functions_are_others(one, other):
    assert not same(of(one), of(other))


def test_what_was_not_admitted_or_is_not_pointwise_is_compared_by_its_text():
    function = Admitted(1.0, True, 2.0, tuple(GRID))
    for other in (None, replace(function, pointwise=False)):
        assert same(("text", function), ("text", other))
        assert not same(("text", function), ("other", other))
        assert not same(("text", other), ("other", other))


def test_a_function_is_among_others_if_it_is_the_same_as_one_of_them():
    gelu, silu, sin = (of(f"{name}(x)") for name in ("F.gelu", "F.silu", "torch.sin"))
    assert is_among(of("3 * F.gelu(x)"), [silu, gelu])
    assert not is_among(sin, [silu, gelu])
    assert not is_among(sin, [])
