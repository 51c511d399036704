"""A search with a fitness of one's own, in Python and as `arrange search`."""

import math
from collections import Counter

import pytest
import torch

from arrange import activation, command
from arrange.activations.evaluation import REFERENCE
from arrange.activations.programs.check import compile_program
from arrange.activations.search.evolve import SEEDS
from arrange.activations.search.own import evolve
from arrange.errors import UserError

X = torch.linspace(-3, 3, 61)
FITNESS = """
import torch
x = torch.linspace(-3, 3, 61)

def fitness(activation):
    return -(activation(x) - torch.exp(-x * x)).square().mean().item()
"""


def like_a_bump(function):
    return -(function(X) - torch.exp(-X * X)).square().mean().item()


def test_it_asks_as_often_as_the_budget_says_and_never_twice_for_one_function():
    asked = []
    found = evolve(lambda function: asked.append(function(X).tolist()) or like_a_bump(function), 60)
    assert len(found) == len(asked) == 60
    assert len({tuple(values) for values in asked}) == 60
    assert {one.source for one in found if one.mutator == "seed"} == {REFERENCE, *SEEDS.values()}


def test_it_finds_better_than_it_begins_with_and_the_same_seed_finds_the_same():
    found = evolve(like_a_bump, 80)
    assert [one.fitness for one in found] == sorted((one.fitness for one in found), reverse=True)
    assert [like_a_bump(one.activation) for one in found] == [one.fitness for one in found]
    assert found[0].fitness > 0.6 * max(one.fitness for one in found if one.mutator == "seed")  # both are below 0
    again = evolve(like_a_bump, 80)
    assert [(one.fitness, one.source) for one in again] == [(one.fitness, one.source) for one in found]
    assert [one.source for one in evolve(like_a_bump, 80, seed=2)] != [one.source for one in found]


def test_what_it_finds_runs_by_its_source_and_children_come_from_the_best():
    found = evolve(like_a_bump, 80)
    assert all(torch.equal(compile_program(one.source)(X), one.activation(X)) for one in found)
    assert len(Counter(one.mutator for one in found)) > 4


def test_nan_is_the_worst_and_a_budget_below_that_of_the_known_ones_is_kept():
    found = evolve(lambda function: math.nan if function(X)[0] < 0 else 1, 4)
    assert len(found) == 4
    assert [one.fitness for one in found][-1] == -math.inf


@pytest.mark.parametrize(("budget", "fitness", "what"), [(0, 1.0, "the budget is 0"), (3, "high", "is 'high'")])
def test_mistakes_are_told(budget, fitness, what):
    with pytest.raises(UserError, match=what):
        evolve(lambda function: fitness, budget)


def test_the_command_prints_the_best_and_writes_a_file_that_torch_uses(tmp_path, capsys):
    (tmp_path / "fitness.py").write_text(FITNESS)
    words = [str(tmp_path / "fitness.py"), "--budget", "40", "--show", "3", "--out", str(tmp_path / "best.py")]
    command.main(["search", *words])
    lines = capsys.readouterr().out.splitlines()
    best = evolve(like_a_bump, 40)
    assert [float(line.split()[1]) for line in lines[:3]] == [pytest.approx(one.fitness, rel=1e-5) for one in best[:3]]
    assert lines[3] == f"the best one: {tmp_path / 'best.py'}"
    assert torch.equal(activation(tmp_path / "best.py")(X), best[0].activation(X))


@pytest.mark.parametrize(
    ("text", "what"), [(None, "there is no file"), ("score = 1\n", "has no function `fitness`\nwrite `def fitness")]
)
def test_the_commands_mistakes_are_two_lines(tmp_path, text, what):
    if text is not None:
        (tmp_path / "fitness.py").write_text(text)
    with pytest.raises(SystemExit) as end:
        command.main(["search", str(tmp_path / "fitness.py")])
    assert what in end.value.code
    assert len(end.value.code.splitlines()) == 2
