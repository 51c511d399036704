"""Who becomes an elite: what looked good on the search's problems and did so again on fresh ones."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from arrange.activations.evaluation import Evaluate, Evaluation
from arrange.activations.search.archive import ANYWHERE, Entry, cell, keep
from arrange.activations.search.database import Candidate
from arrange.activations.search.settings import Search

Fresh = Mapping[int, Candidate]  # a generation's candidates by id


def measure(fresh: Fresh, evaluate: Evaluate) -> dict[int, Candidate]:
    """The generation, with evaluations on the search's problems where nothing spoke against it before."""
    ready = [number for number, candidate in fresh.items() if not candidate.reason and candidate.searched is None]
    found = _evaluated(fresh, ready, evaluate, "search")
    return {**fresh, **{number: replace(fresh[number], searched=found[number]) for number in ready}}


def retest(
    fresh: Fresh,
    populations: Sequence[Sequence[Entry]],
    retested: Collection[str],
    search: Search,
    evaluate: Evaluate,
) -> dict[int, Candidate]:
    """The generation, with evaluations on fresh problems and seeds of those that would else be elites of an island.

    Incumbents are counted by their confirmed fitness. What was `retested` before isn't again: it was a fluke, or it
    is an elite.
    """
    hopeful = {number: candidate for number, candidate in fresh.items() if candidate.canonical not in retested}
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
    return Entry(number, candidate.proposal.source, candidate.canonical, fitness, place)
