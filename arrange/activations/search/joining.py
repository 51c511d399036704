"""At the end of each part of a search's budget, the best complement joins its portfolio."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from arrange.activations.evaluation import REFERENCE, Evaluate
from arrange.activations.portfolio import family_gains
from arrange.activations.search.candidates import Candidate
from arrange.activations.search.selection import Scored, score
from arrange.activations.settings import Search

CONTENDERS = 3  # of each side


@dataclass(frozen=True)
class Join:
    """An elite that was measured on all families at the end of a round: a row of the table `joins` in schema.sql."""

    round: int
    candidate: Candidate
    gain: float | None  # to the portfolio of that moment, over all families; None: no score
    member_steps: int
    joined: bool


def rounds_due(member_steps: int, search: Search, is_last: bool) -> int:
    """How many rounds end before so many member-steps; at the end of the search, all of them."""
    rounds = search.members - 1
    return rounds if is_last else min(rounds, member_steps * rounds // search.budget)


def programs(portfolio: Sequence[Candidate]) -> list[str]:
    """The portfolio's programs: GELU, then those that joined."""
    return [REFERENCE, *(member.source for member in portfolio)]


def scored_sides(
    retested: Sequence[Candidate], portfolio: Sequence[Candidate], evaluate: Evaluate
) -> tuple[list[Scored], list[Scored]]:
    """All that were re-tested, by the side that they were proposed on, with their gains to this portfolio."""
    first, second = (
        score((each for each in retested if each.side == side), measured(portfolio, evaluate, 1 - side))
        for side in (0, 1)
    )
    return first, second


def measured(portfolio: Sequence[Candidate], evaluate: Evaluate, side: int) -> dict[str, Sequence]:
    """The portfolio's measurements on a side's set `confirm`, by program; they cost nothing."""
    sources = programs(portfolio)
    found = evaluate(sources, "confirm", side, sources)
    return {source: one.measurements for source, one in zip(sources, found, strict=True)}


def join(round: int, retested: Sequence[Candidate], portfolio: Sequence[Candidate], evaluate: Evaluate) -> list[Join]:
    """The best elites of both sides, measured on the other half of the families too; the best of all joins.

    Nobody joins where nobody gains anything.
    """
    sides = scored_sides(retested, portfolio, evaluate)
    tried: list[tuple[Candidate, float | None, int]] = []
    for side, scored in enumerate(sides):
        best = sorted(scored, key=lambda one: (-one.gain, one.candidate.id))[:CONTENDERS]
        contenders = [one for one in best if one.gain > 0]
        sources = [one.candidate.source for one in contenders]
        found = evaluate(sources, "confirm", side, programs(portfolio)) if sources else []
        members = measured(portfolio, evaluate, side) if sources else {}
        for one, other in zip(contenders, found, strict=True):
            gains = family_gains(members, other.measurements) if other.measurements else None
            total = None if gains is None else float(np.mean([*one.gains.values(), *gains.values()]))
            tried.append((one.candidate, total, other.member_steps))
    highest = max((gain for _, gain, _ in tried if gain is not None), default=0.0)
    winner = next((each.id for each, gain, _ in tried if gain == highest and highest > 0), None)
    return [Join(round, each, gain, steps, each.id == winner) for each, gain, steps in tried]
