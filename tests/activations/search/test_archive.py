"""Places in the archive: by hand, and against a brute-force oracle."""

from itertools import groupby

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from arrange.activations.evaluation import GRID, Admitted
from arrange.activations.search.archive import Entry, cell, keep, roughness
from arrange.activations.search.identity import Identity

PROGRAMS = st.tuples(st.integers(0, 9), st.integers(-3, 3))  # program, fitness in tenths


@given(st.lists(PROGRAMS, max_size=30), st.integers(1, 4))
def test_places_go_to_the_best_of_each_cell(drawn, places):
    entries = [Entry(id, "", Identity(str(of)), tenths / 10, (of % 3, of % 2)) for id, (of, tenths) in enumerate(drawn)]
    by_program = {}
    for entry in sorted(entries, key=lambda entry: (entry.fitness, -entry.id)):
        by_program[entry.identity.canonical] = entry  # the best one, the older of equals, is the last
    ordered = sorted(by_program.values(), key=lambda entry: (entry.cell, -entry.fitness, entry.id))
    expected = [entry for _, group in groupby(ordered, lambda entry: entry.cell) for entry in list(group)[:places]]
    kept = keep(entries, places)
    assert sorted(kept, key=lambda entry: entry.id) == sorted(expected, key=lambda entry: entry.id)
    assert [-entry.fitness for entry in kept] == sorted(-entry.fitness for entry in kept)


def test_an_incumbent_is_not_displaced_by_its_equal():
    old, new = Entry(1, "", Identity("old"), 0.5, (0, 0)), Entry(2, "", Identity("new"), 0.5, (0, 0))
    assert keep([new, old], 1) == [old]


def test_a_function_written_otherwise_takes_no_second_place():
    found = [Identity("f", (1.0, 2.0)), Identity("-f", (-1.0, -2.0)), Identity("g", (1.0, 2.1))]
    entries = [Entry(id, "", one, 0.5 + id, (id, 0)) for id, one in enumerate(found)]
    assert [entry.id for entry in keep(entries, 2)] == [2, 1]


def admitted(function, flops=1.0, gain=1.0):
    return Admitted(flops, True, gain, tuple(function(torch.from_numpy(GRID)).tolist()))


def test_roughness_is_the_variation_of_the_normalised_slope():
    assert roughness(admitted(torch.relu, gain=2**0.5)) == pytest.approx(2**0.5)
    assert roughness(admitted(lambda x: 3 * x - 1)) == pytest.approx(0, abs=1e-9)
    # cos falls from 1 to -1 and comes back to cos 4 on each side, up to the grid's last half step
    assert roughness(admitted(torch.sin)) == pytest.approx(2 * (2 + (np.cos(4) + 1)), abs=0.15)


@pytest.mark.parametrize(("flops", "bin"), [(0.5, 0), (1, 1), (2.9, 1), (3, 2), (7, 3), (63, 6)])
def test_cells_are_doublings_of_cost_and_of_roughness(flops, bin):
    assert cell(admitted(torch.relu, flops, gain=0.9)) == (bin, 0)
    assert cell(admitted(torch.relu, flops, gain=1.0)) == (bin, 1)
    assert cell(admitted(torch.relu, flops, gain=3.5)) == (bin, 2)
