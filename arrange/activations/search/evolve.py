"""The search: generation after generation, each made from what the database holds and committed as a whole."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from arrange.activations.classical import CLASSICAL
from arrange.activations.evaluation import Evaluate
from arrange.activations.programs.canonical import canonical_or_source
from arrange.activations.programs.files import source_of
from arrange.activations.search.candidates import SEED, Candidate, Limited, Mutator, Prepared, Slot, Unusable
from arrange.activations.search.database import Database, Progress
from arrange.activations.search.selection import Elites, measure, migrate, retest, select_elites
from arrange.activations.settings import Search, SearchEntry

SEEDS = {  # what a search begins with: known functions, GELU in its exact form alone
    name: source_of(function) for name, function in CLASSICAL.items() if name != "gelu_tanh"
}


def evolve(
    database: Database,
    entry: SearchEntry,
    search: Search,
    evaluate: Evaluate,
    mutators: Mapping[str, Mutator],
    seeds: Sequence[str] = tuple(SEEDS.values()),
    after_generation: Callable[[Progress], object] = lambda progress: None,
) -> None:
    """Search until the budget is spent; what the database has already is not done again.

    A mutator whose own budget is spent is not drawn any more. Where it was the last one, the search ends.

    `evaluate` is called with the names "search" and "confirm". A generation that was not committed is done again from
    the same random numbers. So a search that was killed ends with the same rows as an uninterrupted one.

    >>> with opened(Path("search.db"), entry, search) as database:  # doctest: +SKIP
    ...     evolve(database, entry, search, evaluate, expression(), after_generation=print)
    """
    while (start := database.position()).member_steps < search.budget and start.candidates < search.candidates:
        places = search.candidates - start.candidates
        if start.generation == 0:
            candidates = _seeds(seeds[:places])
        elif able := {name: each for name, each in mutators.items() if not is_spent(each, start.generation)}:
            candidates = propose(database, entry, search, able, min(search.generation_size, places))
        else:
            return
        candidates = measure(candidates, evaluate, database.measured_before)
        islands = database.elites()
        candidates = retest(candidates, islands, database.retested(), search.elites, evaluate)
        elites = [select_elites(old, candidates, island, search.elites) for island, old in enumerate(islands)]
        if start.generation % search.migration_every == 0:
            elites = migrate(elites, search.elites)
        database.commit(candidates, elites)
        after_generation(database.progress(start.generation))


def is_spent(mutator: Mutator, generation: int) -> bool:
    """Whether the mutator has a budget of its own that allows nothing in this generation."""
    return isinstance(mutator, Limited) and mutator.spent(generation)


def _seeds(sources: Sequence[str]) -> list[Candidate]:
    """The first generation: known programs, on all islands."""
    return [
        Candidate(place + 1, Slot(0, place, 0), None, source, canonical_or_source(source), SEED)
        for place, source in enumerate(sources)
    ]


def propose(
    database: Database, entry: SearchEntry, search: Search, mutators: Mapping[str, Mutator], size: int
) -> list[Candidate]:
    """The next generation's candidates by place and attempt. The last one of a place may be measured.

    A place whose mutator gave no program is tried again, up to `search.attempts` times. Attempts are made in rounds,
    so the order in which a language model answers makes no difference.
    """
    start, islands = database.position(), database.elites()
    proposed: list[Candidate] = []
    open_places = list(range(size))
    for attempt in range(search.attempts):
        slots = [Slot(start.generation, place, attempt) for place in open_places]
        answers = _ask([_draw(slot, entry, search, list(mutators), islands) for slot in slots], mutators)
        proposed += answers
        open_places = [candidate.slot.place for candidate in answers if candidate.reason]
    proposed.sort(key=lambda candidate: (candidate.slot.place, candidate.slot.attempt))
    return [replace(candidate, id=start.attempts + 1 + number) for number, candidate in enumerate(proposed)]


@dataclass(frozen=True)
class _Draw:
    """What the random numbers of a slot decided, and the generator for the mutator's own draws."""

    slot: Slot
    island: int
    mutator: str
    parents: Sequence[Candidate]
    rng: np.random.Generator


def _draw(slot: Slot, entry: SearchEntry, search: Search, mutators: Sequence[str], islands: Sequence[Elites]) -> _Draw:
    """Draw a mutator, then its parents from the elites of the place's island. Islands take places in turn."""
    rng = np.random.default_rng([entry.seed, slot.generation, slot.place, slot.attempt])
    island, mutator = slot.place % search.islands, mutators[int(rng.integers(len(mutators)))]
    parents = draw_parents(islands[island], search.shown, rng) if entry.arm == "evolution" else []
    return _Draw(slot, island, mutator, parents, rng)


def draw_parents(elites: Elites, count: int, rng: np.random.Generator) -> list[Candidate]:
    """At most `count` elites in random order, without replacement.

    The order is that of Gumbel noise: other random numbers would change the results of published searches.
    """
    order = np.argsort(-rng.gumbel(size=len(elites)), kind="stable")
    return [elites[place] for place in order[:count]]


def _ask(draws: Sequence[_Draw], mutators: Mapping[str, Mutator]) -> list[Candidate]:
    """A round's candidates, in order, with id 0. Mutators are told of all slots first, so that they wait only once."""
    for draw in draws:
        mutator = mutators[draw.mutator]
        if isinstance(mutator, Prepared):
            mutator.prepare(draw.parents, draw.slot)
    return [_candidate(draw, mutators[draw.mutator]) for draw in draws]


def _candidate(draw: _Draw, mutator: Mutator) -> Candidate:
    try:
        proposal = mutator(draw.parents, draw.rng, draw.slot)
    except Unusable as error:
        return Candidate(0, draw.slot, draw.island, "", "", draw.mutator, reason="unusable", detail=str(error))
    text = canonical_or_source(proposal.source)
    return Candidate(0, draw.slot, draw.island, proposal.source, text, draw.mutator, proposal.parents, proposal.note)
