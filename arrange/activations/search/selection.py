"""Which candidates become elites: those that did well on the search's problems, and again on fresh ones."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from arrange.activations.evaluation import Evaluate, Evaluation
from arrange.activations.search.candidates import Candidate, Function, is_among

Elites = Sequence[Candidate]  # of one island, the best first


def measure(
    candidates: Sequence[Candidate], evaluate: Evaluate, measured_before: Callable[[str], Candidate | None]
) -> list[Candidate]:
    """The candidates with their fitness on the search's problems; those with a `reason` are left out.

    A program whose canonical text was measured before, in the search or in this generation, is not measured again: it
    gets the same values, and costs nothing.
    """
    ready = [candidate for candidate in candidates if not candidate.reason]
    firsts = {candidate.canonical: candidate for candidate in reversed(ready)}
    before = {text: found for text in firsts if (found := measured_before(text))}
    new = sorted((first for text, first in firsts.items() if text not in before), key=lambda each: each.id)
    by_id = {
        candidate.id: _with_fitness(candidate, evaluation)
        for candidate, evaluation in zip(new, _evaluated(new, evaluate, "search"), strict=True)
    }
    known = before | {candidate.canonical: candidate for candidate in by_id.values()}
    by_id |= {each.id: _repeated(each, known[each.canonical]) for each in ready if each.id not in by_id}
    return [by_id.get(candidate.id, candidate) for candidate in candidates]


def retest(
    candidates: Sequence[Candidate],
    islands: Sequence[Elites],
    retested: Sequence[Function],
    places: int,
    evaluate: Evaluate,
) -> list[Candidate]:
    """The candidates, those that would become elites with their fitness on fresh problems and seeds.

    They compete with the islands' elites, who count by their confirmed fitness, for `places` on each island. A
    function that was `retested` before is not tested again: either it is an elite, or it was a false positive.
    """
    hopeful = [candidate for candidate in candidates if not is_among(candidate.function, retested)]
    searched = {candidate.id: candidate.fitness for candidate in hopeful}
    contenders = {
        elite.id
        for island, elites in enumerate(islands)
        for elite in _best(elites, hopeful, searched, island, places)
        if elite.id in searched
    }
    chosen = [candidate for candidate in candidates if candidate.id in contenders]
    confirmed = {
        candidate.id: _with_confirmation(candidate, evaluation)
        for candidate, evaluation in zip(chosen, _evaluated(chosen, evaluate, "confirm"), strict=True)
    }
    return [confirmed.get(candidate.id, candidate) for candidate in candidates]


def select_elites(elites: Elites, candidates: Sequence[Candidate], island: int, places: int) -> list[Candidate]:
    """An island's elites after a generation, by confirmed fitness. Candidates without one are left out."""
    confirmed = {candidate.id: candidate.confirmed for candidate in candidates}
    return _best(elites, candidates, confirmed, island, places)


def migrate(islands: Sequence[Elites], places: int) -> list[list[Candidate]]:
    """Each island sends its best elite that the next island lacks, in a ring and all at once.

    A migrant has to win one of the `places` there.
    """
    return [
        keep([*elites, *_migrants(islands[number - 1], elites)], {}, places) for number, elites in enumerate(islands)
    ]


def keep(candidates: Iterable[Candidate], scores: Mapping[int, float | None], places: int) -> list[Candidate]:
    """The best candidates, at most `places`, best first; the older one of equals, and no function twice.

    `scores` are by id; candidates without an entry count by their confirmed fitness.
    """
    scored = [(scores.get(candidate.id, candidate.confirmed), candidate) for candidate in candidates]
    ranked = [(-score, candidate.id, candidate) for score, candidate in scored if score is not None]
    kept: list[Candidate] = []
    for _, _, candidate in sorted(ranked, key=lambda each: each[:2]):
        if len(kept) < places and not is_among(candidate.function, (other.function for other in kept)):
            kept.append(candidate)
    return kept


def _best(
    elites: Elites, candidates: Sequence[Candidate], scores: Mapping[int, float | None], island: int, places: int
) -> list[Candidate]:
    """The island's elites if its new candidates have these scores."""
    newcomers = [candidate for candidate in candidates if candidate.island in (None, island)]
    return keep([*elites, *newcomers], scores, places)


def _migrants(source: Elites, target: Elites) -> list[Candidate]:
    there = [elite.function for elite in target]
    return [elite for elite in source if not is_among(elite.function, there)][:1]


def _evaluated(candidates: Sequence[Candidate], evaluate: Evaluate, name: str) -> list[Evaluation]:
    return evaluate([candidate.source for candidate in candidates], name) if candidates else []


def _with_fitness(candidate: Candidate, evaluation: Evaluation) -> Candidate:
    return replace(
        candidate,
        admitted=evaluation.admitted,
        fitness=evaluation.fitness,
        reason=evaluation.reason,
        detail=evaluation.detail,
        member_steps=evaluation.member_steps,
        measurements=tuple(("search", one) for one in evaluation.measurements),
    )


def _repeated(candidate: Candidate, first: Candidate) -> Candidate:
    return replace(candidate, admitted=first.admitted, fitness=first.fitness, reason=first.reason, detail=first.detail)


def _with_confirmation(candidate: Candidate, evaluation: Evaluation) -> Candidate:
    return replace(
        candidate,
        confirmed=evaluation.fitness,
        confirm_reason=evaluation.reason,
        member_steps=candidate.member_steps + evaluation.member_steps,
        measurements=candidate.measurements + tuple(("confirm", one) for one in evaluation.measurements),
    )
