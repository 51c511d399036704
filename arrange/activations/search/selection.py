"""Who becomes an elite: what looked good on the search's problems and did so again on fresh ones."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from arrange.activations.evaluation import Evaluate, Evaluation
from arrange.activations.search.archive import ANYWHERE, Entry, cell, keep
from arrange.activations.search.database import Candidate
from arrange.activations.search.identity import Identity, among
from arrange.activations.search.settings import Search

Fresh = Mapping[int, Candidate]  # a generation's candidates by id


def measure(fresh: Fresh, evaluate: Evaluate, measured: Callable[[str], Evaluation | None]) -> dict[int, Candidate]:
    """The generation, with evaluations on the search's problems where nothing spoke against it before.

    What the search or the generation has `measured` already, by canonical text, isn't again: a repeat has the same
    evaluation, which cost nothing, and no measurements of its own.
    """
    ready = [number for number, candidate in fresh.items() if not candidate.reason and candidate.searched is None]
    firsts = {fresh[number].canonical: number for number in reversed(ready)}
    stored = {text: before for text in firsts if (before := measured(text))}
    found = _evaluated(fresh, sorted(n for text, n in firsts.items() if text not in stored), evaluate, "search")
    known = stored | {fresh[n].canonical: evaluation for n, evaluation in found.items()}
    repeats = {n: replace(known[fresh[n].canonical], member_steps=0, measurements=()) for n in ready if n not in found}
    return {**fresh, **{n: replace(fresh[n], searched=one) for n, one in (found | repeats).items()}}


def retest(
    fresh: Fresh,
    populations: Sequence[Sequence[Entry]],
    retested: Sequence[Identity],
    search: Search,
    evaluate: Evaluate,
) -> dict[int, Candidate]:
    """The generation, with evaluations on fresh problems and seeds of those that would else be elites of an island.

    Incumbents are counted by their confirmed fitness. A function that was `retested` before isn't again: it was a
    fluke, or it is an elite.
    """
    hopeful = {number: candidate for number, candidate in fresh.items() if not among(candidate.identity, retested)}
    scores = {number: candidate.searched for number, candidate in hopeful.items()}
    contenders = {
        entry.id
        for island, population in enumerate(populations)
        for entry in _kept(population, hopeful, scores, island, search)
        if entry.id in hopeful
    }
    found = _evaluated(fresh, sorted(contenders), evaluate, "confirm")
    return {**fresh, **{number: replace(fresh[number], confirmed=found[number]) for number in found}}


def elect(population: Sequence[Entry], fresh: Fresh, island: int, search: Search) -> list[Entry]:
    """An island's elites after a generation: by confirmed fitness, and nobody without."""
    scores = {number: candidate.confirmed for number, candidate in fresh.items()}
    return _kept(population, fresh, scores, island, search)


def _evaluated(fresh: Fresh, numbers: Sequence[int], evaluate: Evaluate, name: str) -> dict[int, Evaluation]:
    if not numbers:
        return {}
    return dict(zip(numbers, evaluate([fresh[number].proposal.source for number in numbers], name), strict=True))


def _kept(
    population: Sequence[Entry], fresh: Fresh, scores: Mapping[int, Evaluation | None], island: int, search: Search
) -> list[Entry]:
    """Who holds a place on an island if `scores` are what its newcomers stand for."""
    newcomers = [
        _entry(number, candidate, score.fitness, search)
        for number, candidate in fresh.items()
        if candidate.island in (None, island) and (score := scores[number]) and score.fitness is not None
    ]
    return keep([*population, *newcomers], search.places)


def _entry(number: int, candidate: Candidate, fitness: float, search: Search) -> Entry:
    admitted = candidate.admitted
    place = cell(admitted) if search.archive and admitted else ANYWHERE
    return Entry(number, candidate.proposal.source, candidate.identity, fitness, place)
