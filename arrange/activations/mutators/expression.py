"""Mutators that change a program's syntax tree. They work offline, and the same generator gives the same program.

Each one draws until the result passes the check, differs from its parents, and is not much longer than they are.
"""

import ast
import copy
from collections.abc import Callable, Sequence
from functools import partial

from arrange.activations.mutators.fresh import Rng, constant, pick, program, term, waved
from arrange.activations.mutators.trees import (
    closed,
    folded,
    is_term,
    literal,
    number,
    numbers,
    operands,
    places,
    terms,
)
from arrange.activations.programs.check import Rejected, check
from arrange.activations.search.candidates import Candidate, Mutator, Proposal, Slot

TRIES = 20
SIZE = 40  # values in a program; a longer parent's child may be as long as its parent

Change = Callable[[Sequence[ast.FunctionDef], Rng], None]  # changes the first of the parents' trees


def expression_mutators() -> dict[str, Mutator]:
    """The mutators by name. Without parents each one draws from the grammar, as `random` always does."""
    changes = (subtree, crossover, constants, simplify, combine)
    return {"random": _random} | {change.__name__: partial(_propose, change) for change in changes}


def _random(parents: Sequence[Candidate], rng: Rng, slot: Slot) -> Proposal:
    """An independent sample of the grammar."""
    return Proposal(program(rng))


def _propose(change: Change, parents: Sequence[Candidate], rng: Rng, slot: Slot) -> Proposal:
    """The first parent, changed; crossover uses the second one too."""
    used = parents[: 2 if change is crossover else 1]
    for _ in range(TRIES if used else 0):
        trees = [check(parent.source) for parent in used]
        change(trees, rng)
        source = ast.unparse(ast.fix_missing_locations(trees[0])) + "\n"
        if _is_new(source, [parent.source for parent in used]):
            return Proposal(source, tuple(parent.id for parent in used))
    return Proposal(program(rng), note="from nothing")


def _is_new(source: str, parents: Sequence[str]) -> bool:
    """Whether a program passes the check, differs from its parents, and is not too long."""
    try:
        size = _size(check(source))
    except Rejected:
        return False
    trees = [check(parent) for parent in parents]
    return size <= max(SIZE, *map(_size, trees)) and source.strip() not in map(ast.unparse, trees)


def _size(tree: ast.FunctionDef) -> int:
    return sum(1 for _ in places(tree))


def subtree(trees: Sequence[ast.FunctionDef], rng: Rng) -> None:
    """A random term replaced by a fresh one."""
    pick(rng, terms(trees[0])).put(_parsed(term(rng, depth=2)))


def crossover(trees: Sequence[ast.FunctionDef], rng: Rng) -> None:
    """A random term replaced by one of the second parent; without a second parent, by one of its own."""
    values = [place.value for place in terms(trees[-1])]
    donors = [value for value in values if closed(value) and not isinstance(value, ast.Name)]
    if donors:
        part = copy.deepcopy(pick(rng, donors))
        pick(rng, terms(trees[0])).put(part)


def constants(trees: Sequence[ast.FunctionDef], rng: Rng) -> None:
    """One number, or all, times a log-normal factor, rarely with the other sign; without a number a term is scaled."""
    chosen = numbers(trees[0])
    if not chosen:
        place = pick(rng, terms(trees[0]))
        place.put(ast.BinOp(ast.Constant(constant(rng, 1.0)), ast.Mult(), place.value))
    elif rng.random() < 0.5:
        chosen = [pick(rng, chosen)]
    for place in chosen:
        value = constant(rng, number(place.value) or 0.1, spread=0.4)
        place.put(literal(-value if rng.random() < 0.1 else value))


def simplify(trees: Sequence[ast.FunctionDef], rng: Rng) -> None:
    """A random term replaced by one of its operands, so that something is dropped; then constants folded."""
    parts = [(place, part.value) for place in terms(trees[0]) for part in operands(place.value) if is_term(part.value)]
    if parts:
        place, part = pick(rng, parts)
        place.put(part)
    folded(trees[0])


def combine(trees: Sequence[ast.FunctionDef], rng: Rng) -> None:
    """A small periodic term added to a random term, or multiplied with it."""
    place = pick(rng, terms(trees[0]))
    place.put(_parsed(waved(rng, ast.unparse(place.value))))


def _parsed(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body
