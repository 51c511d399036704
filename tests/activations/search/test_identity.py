"""Which programs are one function: up to scale, sign and spelling."""

import polars as pl
import pytest

from arrange.activations.evaluation import GRID, Admitted
from arrange.activations.programs.admission import admit
from arrange.activations.programs.canonical import canonical
from arrange.activations.programs.check import compile_program
from arrange.activations.search.identity import Identity, distinct, identity, same


def of(expression):
    source = f"def activation(x): return {expression}"
    return identity(canonical(source), admit(compile_program(source), 100.0))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("F.gelu(x)", "2.24 * F.gelu(x)"),
        ("F.silu(x)", "0.565 * F.silu(x)"),
        ("F.silu(x)", "x * torch.sigmoid(x)"),
        ("F.gelu(x)", "-F.gelu(x)"),
        ("torch.sin(x)", "-3 * torch.sin(x)"),
        ("x - x.mean()", "x - torch.mean(x)"),
    ],
)
def test_scale_sign_and_spelling_make_no_other_function(one, other):
    assert same(of(one), of(other))
    assert same(of(other), of(one))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("F.gelu(x)", "F.gelu(1.02 * x)"),
        ("F.gelu(x)", "F.gelu(x) + 0.001"),
        ("F.gelu(x)", "F.silu(x)"),
        ("torch.tanh(x)", "torch.tanh(x) + 0.1 * torch.sin(8 * math.pi * x)"),  # the same on GRID, but for the gain
        ("x - x.mean()", "2 * (x - x.mean())"),  # not pointwise: its text
    ],
)
def test_other_functions_are_others(one, other):
    assert not same(of(one), of(other))


def test_what_was_not_admitted_has_its_text_alone():
    assert identity("text") == Identity("text")
    assert identity("text", Admitted(1.0, False, 2.0, tuple(GRID))) == Identity("text")
    assert identity("text", Admitted(1.0, True, 2.0, (0.5, 1.0))) == Identity("text", (1.0, 2.0))
    assert same(Identity("text"), Identity("text", (1.0,)))
    assert not same(Identity("text"), Identity("other"))


def test_the_first_row_of_each_function_stays():
    table = pl.DataFrame(
        {
            "id": [1, 2, 3, 4, 5],
            "canonical": ["a", "2a", "b", "c", "b"],
            "pointwise": [True, True, None, False, None],
            "gain": [1.0, 0.5, None, 1.0, None],
            "curve": [[1.0, 3.0], [2.0, 6.0], None, [1.0, 3.0], None],
        }
    )
    assert distinct(table)["id"].to_list() == [1, 3, 4]
    assert distinct(table, [Identity("known", (-1.0, -3.0)), Identity("c")])["id"].to_list() == [3]
    assert distinct(table.head(2), [Identity("a", (1.0, 3.0))]).height == 0
