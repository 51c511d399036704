"""Programs that do the same have one text; the text is a program that does the same."""

import pytest
import torch
from activations.programs.by_chance import programs
from hypothesis import given, settings

from arrange.activations.programs.canonical import canonical
from arrange.activations.programs.check import Rejected, compile_program

X = torch.linspace(-3, 3, 25)  # float32, as training


def program(*lines: str) -> str:
    return "\n".join(["def activation(x):", *(f"    {line}" for line in lines)])


@given(programs())
@settings(max_examples=150, deadline=None)
def test_the_canonical_text_computes_the_same_and_is_its_own_canonical_text(source):
    text = canonical(source)
    torch.testing.assert_close(compile_program(text)(X), compile_program(source)(X), rtol=0, atol=0, equal_nan=True)
    assert canonical(text) == text


def test_by_hand():
    source = program("y = 2", "unused = torch.exp(x)", "return torch.sin(x) * y - 1 + torch.sin(x)")
    assert canonical(source) == program(
        "a0 = torch.sin(x)", "a1 = a0 * 2.0", "a2 = a1 + (-1.0)", "a3 = a0 + a2", "return a3"
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x + torch.sin(x)", "torch.sin(x) + x"),
        ("x * 2", "2.0 * x"),
        ("x - 1", "x + -1"),
        ("x - 1", "(-1 + (x))"),
        ("x > 1", "1 < x"),
        ("x >= 1", "1 <= x"),
        ("x == 1", "1 == x"),
        ("torch.tanh(x)", "x.tanh()"),
        ("torch.tanh(x)", "F.tanh(x)"),
        ("torch.maximum(x, x * 2)", "torch.maximum(2 * x, x)"),
        ("x * math.pi", "x * 3.141592653589793"),
        ("F.elu(x, 0.5)", "F.elu(x, alpha=0.5)"),
        ("torch.clamp(x, -1, 1)", "x.clamp(max=1, min=-1)"),
        ("x.mean(dim=-1, keepdim=True)", "x.mean(keepdim=True, dim=-1)"),
        ("x ** -1", "x ** -1.0"),
        ("+x", "x"),
        ("x * 1.000000001", "x * 1"),  # in float32
        ("x + 1e-50", "x + 0"),
        ("x * (2 ** 0.5 / 2)", "x * 0.70710678"),
        ("x * math.sin(1)", "x * 0.841470985"),
        ("x * (1e-9 * 1e5 * 1e4)", "x * 1"),
        ("(x * 2 + 1) + (3 * x + 1)", "(1 + x * 3) + (1 + 2 * x)"),
    ],
)
def test_ways_to_write_one_expression_have_one_text(one, other):
    assert canonical(program(f"return {one}")) == canonical(program(f"return {other}"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x - torch.sin(x)", "torch.sin(x) - x"),
        ("x / 2", "2 / x"),
        ("x ** 2", "2 ** x"),
        ("x < 1", "1 < x"),
        ("x < 1", "x <= 1"),
        ("x * 2", "x * -2"),
        ("x * 1.000001", "x * 1"),
        ("-1 ** x", "(-1) ** x"),
        ("-x", "x"),
        ("torch.atan2(x, x * 2)", "torch.atan2(2 * x, x)"),
        ("torch.where(x > 0, x, 1)", "torch.where(x > 0, 1, x)"),
        ("F.elu(x, 0.5)", "F.celu(x, 0.5)"),
        ("torch.clamp(x, min=1)", "torch.clamp(x, max=1)"),
        ("x.mean(dim=-1)", "x.mean(dim=0)"),
        ("x.mean()", "x.sum()"),
    ],
)
def test_programs_that_differ_have_texts_that_differ(one, other):
    assert canonical(program(f"return {one}")) != canonical(program(f"return {other}"))


def test_names_order_of_lines_annotations_loops_and_dead_code_leave_no_trace():
    plain = program("return torch.sin(torch.sin(x)) * torch.cos(x)")
    assert canonical(plain) == canonical(
        '''
def activation(x: Tensor) -> Tensor:  # a comment
    """A docstring."""
    right = x.cos()
    left = x
    for _ in range(2):
        left = torch.sin(left)
        spare = left * right
    return right * left
'''
    )


def test_a_long_chain_needs_no_deep_stack():
    loops = program("for _ in range(16):", "    for _ in range(16):", "        x = torch.sin(x) + 1", "return x")
    assert len(canonical(loops).splitlines()) == 2 * 256 + 2


def test_sharing_keeps_the_text_short():
    doubled = program(*["x = x + x"] * 60, "return x")
    assert len(canonical(doubled).splitlines()) == 62


def test_text_that_is_no_program_is_rejected():
    with pytest.raises(Rejected, match="forbidden"):
        canonical("import os")
