"""A search with a fitness of one's own: any function that says how good an activation is.

The search of the pipeline (`evolve` in `arrange.activations.search.evolve`) measures what an activation adds to a
portfolio, in a sandbox, with its state on disk. This one takes its parts, the grammar, the mutators and the admission
tests, runs in this process and keeps nothing.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np

from arrange.activations.evaluation import REFERENCE, Activation, Admitted
from arrange.activations.mutators.expression import expression_mutators
from arrange.activations.programs.admission import admit
from arrange.activations.programs.canonical import canonical_or_source
from arrange.activations.programs.check import compile_program
from arrange.activations.search.candidates import SEED, Candidate, Slot
from arrange.activations.search.evolve import SEEDS
from arrange.errors import UserError

Problem = Callable[[Activation], float]
ELITES = 8  # the parents are drawn from so many of the best
FLOPS = 60.0  # that an activation may cost per element
REFUSED = 1000  # programs in a row without a new one: the search ends before its budget is spent


@dataclass(frozen=True)
class Found:
    """An activation that was measured: its fitness, its program, the function, and the mutator that made it."""

    fitness: float
    source: str
    activation: Activation
    mutator: str


def evolve(problem: Problem, budget: int, *, seed: int = 1) -> list[Found]:
    """Search for activations of high fitness: all that were measured, the best first; of equals the older one.

    problem: gives the fitness of an activation, which is a function from tensor to tensor; nan is the worst. budget:
    how often `problem` is called, at first for GELU and other known activations. A program that is refused (it is not
    admitted, or it is one that was measured in other words) costs nothing.
    The same seed gives the same list, if the problem is deterministic.
    Raises UserError for a budget below 1, and for a fitness that is no number.

    >>> import torch
    >>> x = torch.linspace(-3, 3, 61)
    >>> def like_a_bump(activation):
    ...     return -(activation(x) - torch.exp(-x * x)).square().mean().item()
    >>> found = evolve(like_a_bump, budget=100)
    >>> len(found), found[0].fitness > max(one.fitness for one in found if one.mutator == "seed")
    (100, True)
    """
    if budget < 1:
        raise UserError(f"the budget is {budget}", "give at least 1")
    found, seen, refused = list[Found](), set[object](), 0
    for mutator, source in _programs(found, seed):
        admitted = _admitted(source)
        if admitted is None or (key := _key(source, admitted[1])) in seen:
            refused += 1
        else:
            seen.add(key)
            found.append(Found(_fitness(problem, admitted[0]), source, admitted[0], mutator))
            refused = 0
        if len(found) == budget or refused == REFUSED:
            break
    return _best(found)


def _programs(found: Sequence[Found], seed: int) -> Iterator[tuple[str, str]]:
    """Mutators and programs without end: known ones, then what is made of the best in `found`, which grows."""
    for source in (REFERENCE, *SEEDS.values()):
        yield SEED, source
    mutators = expression_mutators()
    for place in count():
        rng = np.random.default_rng([seed, place])
        name = list(mutators)[int(rng.integers(len(mutators)))]
        elites = _best(found)[:ELITES]
        slot = Slot(0, place, 0)
        drawn = [elites[row] for row in rng.permutation(len(elites))[:2]]
        parents = [Candidate(number, slot, 0, one.source, "", one.mutator) for number, one in enumerate(drawn, 1)]
        yield name, mutators[name](parents, rng, slot).source


def _best(found: Sequence[Found]) -> list[Found]:
    return sorted(found, key=lambda one: -one.fitness)


def _admitted(source: str) -> tuple[Activation, Admitted] | None:
    """The function of a program, and what admission measured of it; None where it is refused."""
    try:
        activation = compile_program(source)
        return activation, admit(activation, FLOPS)
    except Exception:  # Rejected, or whatever the program raises
        return None


def _key(source: str, admitted: Admitted) -> object:
    """Equal for programs that are one function: by the curve; where values depend on other elements, by the text."""
    return admitted.curve if admitted.pointwise else canonical_or_source(source)


def _fitness(problem: Problem, activation: Activation) -> float:
    given = problem(activation)
    try:
        fitness = float(given)
    except (TypeError, ValueError):
        raise UserError(f"the fitness of an activation is {given!r}", "let the function return one number") from None
    return -math.inf if math.isnan(fitness) else fitness
