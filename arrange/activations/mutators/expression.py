"""Mutators that know the grammar and need nothing else: they work offline, and the same generator gives the same text.

Each draws until the result is a program that the check lets in and that is neither its parent nor much longer.
"""

import ast
import copy
from collections.abc import Callable, Sequence
from functools import partial

from arrange.activations.mutators.folding import folded, literal, number
from arrange.activations.mutators.fresh import Rng, constant, pick, program, term, waved
from arrange.activations.mutators.trees import closed, is_term, numbers, operands, places, terms
from arrange.activations.programs.check import Rejected, check
from arrange.activations.search.proposals import Mutator, Proposal, Shown, Slot

TRIES = 20
SIZE = 40  # values in a program; one that is longer already may not grow

Change = Callable[[Sequence[ast.FunctionDef], Rng], None]  # changes the first of its parents' trees


def expression() -> dict[str, Mutator]:
    """The mutators by name. Without parents each draws from the grammar, as `random` always does."""
    changes = (subtree, crossover, constants, simplify, combine)
    return {"random": _random} | {change.__name__: partial(_propose, change) for change in changes}


def _random(parents: Sequence[Shown], rng: Rng, slot: Slot) -> Proposal:
    """An independent sample of the grammar: the control, and fresh blood."""
    return Proposal(program(rng), "random")


def _propose(change: Change, parents: Sequence[Shown], rng: Rng, slot: Slot) -> Proposal:
    """The first parent, changed; crossover looks at the second one too."""
    used = parents[: 2 if change is crossover else 1]
    for _ in range(TRIES if used else 0):
        trees = [check(parent.source) for parent in used]
        change(trees, rng)
        source = ast.unparse(ast.fix_missing_locations(trees[0])) + "\n"
        if _is_new(source, [parent.source for parent in used]):
            return Proposal(source, change.__name__, tuple(parent.id for parent in used))
    return Proposal(program(rng), change.__name__, note="from nothing")


def _is_new(source: str, parents: Sequence[str]) -> bool:
    """Whether it passes the check, is none of the parents, and is no longer than a program may be."""
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
    """A random term replaced by one of the second parent (of its own, where there is none)."""
    values = [place.value for place in terms(trees[-1])]
    donors = [value for value in values if closed(value) and not isinstance(value, ast.Name)]
    if donors:
        part = copy.deepcopy(pick(rng, donors))
        pick(rng, terms(trees[0])).put(part)


def constants(trees: Sequence[ast.FunctionDef], rng: Rng) -> None:
    """One number, or all, times a log-normal factor, rarely with the other sign; without a number a term is scaled."""
    found = numbers(trees[0])
    if not found:
        place = pick(rng, terms(trees[0]))
        place.put(ast.BinOp(ast.Constant(constant(rng, 1.0)), ast.Mult(), place.value))
    elif rng.random() < 0.5:
        found = [pick(rng, found)]
    for place in found:
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
    """A small periodic term added to a random term, or its amplitude modulated by one."""
    place = pick(rng, terms(trees[0]))
    place.put(_parsed(waved(rng, ast.unparse(place.value))))


def _parsed(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body
