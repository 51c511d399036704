import ast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arrange.activations.mutators.trees import folded, literal, number
from arrange.activations.programs.check import Rejected, check, compile_program

EXAMPLES = settings(max_examples=100, deadline=None)


def fold(expression: str) -> str:
    return ast.unparse(folded(check(f"def activation(x): return {expression}")).body[0].value)


@pytest.mark.parametrize(
    ("expression", "simple"),
    [
        ("x * 1", "x"),
        ("1 * x", "x"),
        ("x / 1", "x"),
        ("x + 0", "x"),
        ("0.0 + x", "x"),
        ("x - 0", "x"),
        ("--x", "x"),
        ("2 * 3 * x", "6.0 * x"),
        ("(1 - 3) * x", "-2.0 * x"),
        ("x / (1 / 4)", "x / 0.25"),
        ("torch.sin(x * (3 - 2)) + (2 - 2)", "torch.sin(x)"),
        ("x + -1 + 0", "x + -1"),
        ("0 - x", "0 - x"),
        ("1 / x", "1 / x"),
        ("x * 0", "x * 0"),
        ("2 ** 3 * x", "2 ** 3 * x"),
        ("(1 - 3) ** x", "(-2.0) ** x"),
    ],
)
def test_what_can_be_done_before_is_done_and_nothing_else(expression, simple):
    assert fold(expression) == simple


EXPRESSIONS = st.recursive(
    st.sampled_from(["x", "0", "1", "2", "0.5", "-1", "1.0"]),
    lambda inner: st.builds("({} {} {})".format, inner, st.sampled_from("+-*/"), inner) | inner.map("(-{})".format),
    max_leaves=8,
)


@EXAMPLES
@given(EXPRESSIONS)
def test_folding_keeps_the_values(expression):
    program = f"def activation(x): return torch.sin(x) + {expression}"
    x = torch.tensor([-1.5, -0.25, 0.75, 3.0], dtype=torch.float64)
    try:
        checked = check(program)
    except Rejected:  # what is computed from numbers alone is none, as 1 / 0
        return
    values = compile_program(program)(x)
    torch.testing.assert_close(compile_program(ast.unparse(folded(checked)))(x), values, equal_nan=True)


@pytest.mark.parametrize("value", [0.0, 2.5, -2.5])
def test_a_literal_reads_as_its_number(value):
    assert number(ast.parse(ast.unparse(literal(value)), mode="eval").body) == value


def test_no_number_is_seen_in_what_is_none():
    for text in ("x", "-x", "1 + 1", "+1", "torch.pi"):
        assert number(ast.parse(text, mode="eval").body) is None
