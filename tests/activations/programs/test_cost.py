"""FLOPs are those of the operations that run, whatever the text looks like."""

import pytest
import torch
from torch.nn import functional as F  # noqa: N812, its usual name

from arrange.activations.programs.check import Rejected, compile_program
from arrange.activations.programs.cost import WEIGHTS, cost, flops
from arrange.activations.programs.grammar import FUNCTIONS, KEEPS_SHAPE


def of(expression: str) -> float:
    return flops(compile_program(f"def activation(x): return {expression}"))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("x", 0),
        ("-x", 1),
        ("x + 1", 1),
        ("x * x - 2", 2),
        ("x / 2", 4),
        ("x ** 2", 1),
        ("x ** 3", 14),
        ("x ** x", 14),
        ("2 ** x", 14),
        ("torch.sin(x)", 10),
        ("x * torch.sigmoid(x)", 11),
        ("F.gelu(x) + 0.1 * torch.sin(x)", 14 + 1 + 1 + 10),
        ("torch.where(x > 0, x, 0.0)", 2),
        ("x - x.mean()", 2),
        ("x - x.mean(dim=-1, keepdim=True)", 2),
        ("torch.softmax(x, dim=-1)", 14),
    ],
)
def test_by_hand(expression, expected):
    assert of(expression) == pytest.approx(expected, abs=0.01)


def test_what_is_computed_of_one_number_costs_as_much_as_of_all():
    assert of("x * torch.exp(x.mean(dim=-1, keepdim=True))") == 1 + 1 + 10
    sines = "\n    ".join(["y = x.mean()", "for _ in range(16): y = torch.sin(y)", "return x + y"])
    assert flops(compile_program(f"def activation(x):\n    {sines}")) == 1 + 160 + 1


def test_a_table_of_all_pairs_of_rows_is_counted_whole():
    pairs = of("x + (x.sum(dim=-1) + x.sum(dim=-1, keepdim=True)).sum(dim=-1, keepdim=True)")
    assert pairs == 1 + 1 + 128 / 32 + 128 / 32 + 1


def test_loops_count_as_often_as_they_run():
    source = "def activation(x):\n    for _ in range(5): x = torch.sin(x)\n    return x"
    assert flops(compile_program(source)) == 50


def test_what_is_hidden_in_a_function_is_counted():
    assert flops(lambda x: torch.nn.Mish()(x)) == WEIGHTS["mish"]
    assert flops(F.softsign) == 1 + 1 + 4  # abs, add, div


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_function_of_the_grammar_has_a_cost_or_is_a_number(name):
    if name.startswith("math."):
        return
    function = FUNCTIONS[name]
    operands = ["x > 0.5" if name == "torch.where" else "x", "x", "x"][: function.operands]
    operands += ["0.5", "0.75"][: len(function.numbers)] + ["dim=-1"] * (name.split(".")[1] in KEEPS_SHAPE)
    counted = cost(compile_program(f"def activation(x): return {name}({', '.join(operands)})"))
    assert counted.reduces == function.reduces
    assert counted.flops > 0


@pytest.mark.parametrize(
    "activation",
    [
        lambda x: x @ x,
        lambda x: x.sort().values,
        lambda x: x if x.sum() > 0 else -x,
        lambda x: x * x.mean().item(),
        lambda x: torch.rand_like(x),
        lambda x: x.half().float(),
    ],
)
def test_an_operation_without_a_known_cost_is_rejected(activation):
    with pytest.raises(Rejected, match="cost"):
        flops(activation)
