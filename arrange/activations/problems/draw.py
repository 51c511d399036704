"""Sets of fresh problems. The same seed gives the same problems."""

from collections.abc import Sequence
from zlib import crc32

import numpy as np

from arrange.activations.problems.families import FAMILIES, LISTED, RANDOM, Target
from arrange.activations.problems.feynman import equations
from arrange.activations.problems.problem import Problem, sample
from arrange.activations.settings import Ranges
from arrange.errors import UserError

ATTEMPTS = 1000


def draw(families: Sequence[str], count: int, seed: int, ranges: Ranges) -> list[Problem]:
    """`count` problems, spread evenly over the families; the first families have one more where it does not divide.

    A problem depends on the seed, its family and its number in the family alone, so a smaller set is part of a larger
    one. Another seed gives other functions. Equations are a finite list: another seed gives them in another order and
    at other points, and a set repeats none before it has had all.

    Raises UserError for an unknown family, and for ranges within which a family has no target.
    """
    if unknown := [family for family in families if family not in FAMILIES]:
        raise UserError(f"there is no family of problems {unknown[0]!r}", f"take some of {', '.join(FAMILIES)}")
    return [
        _problem(family, index, seed, ranges)
        for place, family in enumerate(families)
        for index in range(len(range(place, count, len(families))))
    ]


def _problem(family: str, index: int, seed: int, ranges: Ranges) -> Problem:
    """The first sample that stays within the limits."""
    rng = np.random.default_rng([seed, crc32(family.encode()), index])
    for _ in range(ATTEMPTS):
        target = RANDOM[family](rng) if family in RANDOM else _listed(family, index, seed)
        if problem := sample(f"{family} {index}", family, target, ranges, rng):
            return problem
    raise UserError(
        f"no problem of family {family!r} stays within {ranges.limit:g} standard deviations out to {ranges.stretch:g} "
        "times the training range",
        "lower the stretch or raise the limit",
    )


def _listed(family: str, index: int, seed: int) -> Target:
    """The equation with this number, from the list shuffled by the seed."""
    listed = equations(LISTED[family])
    order = np.random.default_rng([seed, crc32(family.encode())]).permutation(len(listed))
    return listed[order[index % len(listed)]].target()
