"""The programs that a search begins with."""

import pytest
import torch

from arrange.activations.classical import CLASSICAL
from arrange.activations.programs.canonical import canonical
from arrange.activations.programs.check import compile_program
from arrange.activations.search.seeds import SEEDS


@pytest.mark.parametrize("name", SEEDS)
def test_a_seed_computes_what_its_name_says(name):
    x = torch.linspace(-6, 6, 97, dtype=torch.float64)
    torch.testing.assert_close(compile_program(SEEDS[name])(x), CLASSICAL[name](x))


def test_no_two_seeds_are_the_same():
    assert len({canonical(source) for source in SEEDS.values()}) == len(SEEDS)
