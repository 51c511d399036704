"""Which candidates become elites: those that complement the portfolio, and again on families of the other side."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from arrange.activations.evaluation import Evaluate, Evaluation, Measurement
from arrange.activations.portfolio import Measured, family_gains
from arrange.activations.search.candidates import SEED, Candidate, Function, is_among

Members = Mapping[str, Measured]  # the portfolio so far: measurements by program


@dataclass(frozen=True)
class Scored:
    """A candidate that was re-tested, with its gain to the portfolio of today by family."""

    candidate: Candidate
    gains: Mapping[str, float]

    @cached_property
    def gain(self) -> float:
        """The mean over families."""
        return float(np.mean(list(self.gains.values())))


def refuse(
    candidates: Sequence[Candidate],
    evaluate: Evaluate,
    known: Mapping[str, Function],
    before: Mapping[int, Function],
) -> list[Candidate]:
    """The candidates, those with a `reason` that are refused: not admitted, or no new function.

    A function is refused that is one of `known` (`known`), or one of an earlier candidate, in the search or in this
    generation (`duplicate`), but not where the search begins with it. It costs nothing.
    """
    waiting = [candidate for candidate in candidates if not candidate.reason]
    admitted = {
        candidate.id: replace(candidate, admitted=one.admitted, reason=one.reason, detail=one.detail)
        for candidate, one in zip(waiting, evaluate([each.source for each in waiting], "admit"), strict=True)
    }
    earlier = dict(before)
    for id, candidate in admitted.items():
        if candidate.mutator == SEED and not candidate.reason:
            earlier[id] = candidate.function
        elif not candidate.reason:
            if (name := _like(candidate.function, known)) is not None:
                admitted[id] = replace(candidate, reason="known", detail=f"it is {name}, up to scale and sign")
            elif (number := _like(candidate.function, earlier)) is not None:
                admitted[id] = replace(candidate, reason="duplicate", detail=f"it is candidate {number}")
            else:
                earlier[id] = candidate.function
    return [admitted.get(candidate.id, candidate) for candidate in candidates]


def measure(candidates: Sequence[Candidate], evaluate: Evaluate, portfolio: Sequence[str]) -> list[Candidate]:
    """The candidates with their fitness on their side's problems; those with a `reason` are left out."""
    ready = [candidate for candidate in candidates if not candidate.reason]
    if not ready:
        return list(candidates)
    evaluations = evaluate([each.source for each in ready], "search", ready[0].side, portfolio)
    by_id = {each.id: _with_fitness(each, found) for each, found in zip(ready, evaluations, strict=True)}
    return [by_id.get(candidate.id, candidate) for candidate in candidates]


def retest(
    candidates: Sequence[Candidate], evaluate: Evaluate, portfolio: Sequence[str], count: int
) -> list[Candidate]:
    """The candidates, the `count` best of those that gain something with their gain on the other side's families."""
    hopeful = [candidate for candidate in candidates if candidate.fitness is not None and candidate.fitness > 0]
    chosen = sorted(hopeful, key=lambda each: (-(each.fitness or 0.0), each.id))[:count]
    if not chosen:
        return list(candidates)
    evaluations = evaluate([each.source for each in chosen], "confirm", 1 - chosen[0].side, portfolio)
    by_id = {each.id: _with_confirmation(each, found) for each, found in zip(chosen, evaluations, strict=True)}
    return [by_id.get(candidate.id, candidate) for candidate in candidates]


def score(candidates: Iterable[Candidate], members: Members) -> list[Scored]:
    """Candidates of one side that were re-tested, by what they add to the portfolio today."""
    return [
        Scored(candidate, family_gains(members, confirmed))
        for candidate in candidates
        if (confirmed := confirmed_measurements(candidate))
    ]


def select_elites(scored: Sequence[Scored], places: int) -> list[Candidate]:
    """The elites of a side: the best one in each family, then the best over all families; the older one of equals.

    Whoever gains nothing in a family is not best there. So a function that fits one family alone stays.
    """
    ranked = sorted(scored, key=lambda one: (-one.gain, one.candidate.id))
    families = ranked[0].gains if ranked else ()
    champions = [max(ranked, key=lambda one, family=family: one.gains[family]) for family in families]  # type: ignore[misc]
    cells = [one for one, family in zip(champions, families, strict=True) if one.gains[family] > 0]
    order = {one.candidate.id: one.candidate for one in [*sorted(cells, key=lambda one: -one.gain), *ranked]}
    return list(order.values())[:places]


def confirmed_measurements(candidate: Candidate) -> tuple[Measurement, ...]:
    """What the re-test measured, of a candidate of this generation or of an earlier one."""
    return tuple(one for name, one in candidate.measurements if name == "confirm")


def _like(function: Function, others: Mapping[str, Function] | Mapping[int, Function]) -> str | int | None:
    """The key of the first one of the others that is the same function."""
    return next((key for key, other in others.items() if is_among(function, [other])), None)


def _with_fitness(candidate: Candidate, evaluation: Evaluation) -> Candidate:
    return replace(
        candidate,
        fitness=evaluation.fitness,
        reason=evaluation.reason,
        detail=evaluation.detail,
        member_steps=evaluation.member_steps,
        measurements=tuple(("search", one) for one in evaluation.measurements),
    )


def _with_confirmation(candidate: Candidate, evaluation: Evaluation) -> Candidate:
    return replace(
        candidate,
        confirmed=evaluation.fitness,
        confirm_reason=evaluation.reason,
        member_steps=candidate.member_steps + evaluation.member_steps,
        measurements=candidate.measurements + tuple(("confirm", one) for one in evaluation.measurements),
    )
