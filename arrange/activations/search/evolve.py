"""The search: generation after generation, each made from what the database holds and committed as a whole."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from arrange.activations.classical import CLASSICAL
from arrange.activations.evaluation import Evaluate
from arrange.activations.mined import MINED
from arrange.activations.programs.canonical import canonical_or_source
from arrange.activations.programs.files import source_of
from arrange.activations.search.candidates import SEED, Candidate, Function, Limited, Mutator, Prepared, Slot, Unusable
from arrange.activations.search.database import Database, Position, Progress
from arrange.activations.search.joining import Join, join, programs, rounds_due, scored_sides
from arrange.activations.search.selection import measure, refuse, retest, select_elites
from arrange.activations.settings import Search, SearchEntry

KNOWN = {name: source_of(function) for name, function in {**CLASSICAL, **MINED}.items()}  # they are no finds
SEEDS = {  # what a search begins with, beside GELU
    "gelu_half": "def activation(x):\n    return F.gelu(0.5 * x)\n",
    "gelu_double": "def activation(x):\n    return F.gelu(2 * x)\n",
    **{name: KNOWN[name] for name in ("silu", "sin", "tanh", "relu")},
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

    A generation is proposed on one side of the families and re-tested on the other, in turn. Fitness is the gain to
    the portfolio so far. The budget has `search.members` - 1 equal parts; after each of them the best complement joins.
    A mutator whose own budget is spent is not drawn any more. Where it was the last one, the search ends.
    A generation that was not committed is done again from the same random numbers. So a search that was killed ends
    with the same rows as an uninterrupted one.

    >>> with opened(Path("search.db"), entry, search) as database:  # doctest: +SKIP
    ...     evolve(database, entry, search, evaluate, expression(), after_generation=print)
    """
    known = _admitted(KNOWN, evaluate)
    while (start := database.position()).member_steps < search.budget and start.candidates < search.candidates:
        places = search.candidates - start.candidates
        if start.generation == 0:
            candidates = _seeds(seeds[:places])
        elif able := {name: each for name, each in mutators.items() if not is_spent(each, start.generation)}:
            candidates = propose(database, entry, search, able, min(search.generation_size, places))
        else:
            return
        portfolio = database.portfolio()
        candidates = refuse(candidates, evaluate, known, database.functions())
        candidates = measure(candidates, evaluate, programs(portfolio))
        candidates = retest(candidates, evaluate, programs(portfolio), search.confirmed)
        retested = [*database.retested(), *(each for each in candidates if each.confirmed is not None)]
        joins = _joins(start, candidates, retested, portfolio, search, evaluate, len(candidates) >= places)
        portfolio += [one.candidate for one in joins if one.joined]
        sides = scored_sides(retested, portfolio, evaluate)
        database.commit(candidates, [select_elites(scored, search.elites) for scored in sides], joins)
        after_generation(database.progress(start.generation))


def is_spent(mutator: Mutator, generation: int) -> bool:
    """Whether the mutator has a budget of its own that allows nothing in this generation."""
    return isinstance(mutator, Limited) and mutator.spent(generation)


def _admitted(sources: Mapping[str, str], evaluate: Evaluate) -> dict[str, Function]:
    """The functions of these programs by name, as `same` compares them."""
    found = evaluate(list(sources.values()), "admit")
    return {
        name: (canonical_or_source(source), one.admitted)
        for (name, source), one in zip(sources.items(), found, strict=True)
    }


def _joins(
    start: Position,
    candidates: Sequence[Candidate],
    retested: Sequence[Candidate],
    portfolio: Sequence[Candidate],
    search: Search,
    evaluate: Evaluate,
    is_last: bool,
) -> list[Join]:
    """What happens at the end of each round that ends with this generation."""
    spent = start.member_steps + sum(candidate.member_steps for candidate in candidates)
    joins, members = list[Join](), list(portfolio)
    for round in range(start.rounds, rounds_due(spent, search, is_last)):
        tried = join(round, retested, members, evaluate)
        members += [one.candidate for one in tried if one.joined]
        joins += tried
    return joins


def _seeds(sources: Sequence[str]) -> list[Candidate]:
    """The first generation: known programs."""
    return [
        Candidate(place + 1, Slot(0, place, 0), 0, source, canonical_or_source(source), SEED)
        for place, source in enumerate(sources)
    ]


def propose(
    database: Database, entry: SearchEntry, search: Search, mutators: Mapping[str, Mutator], size: int
) -> list[Candidate]:
    """The next generation's candidates by place and attempt. The last one of a place may be measured.

    A place whose mutator gave no program is tried again, up to `search.attempts` times. Attempts are made in rounds,
    so the order in which a language model answers makes no difference.
    """
    start, elites = database.position(), database.elites()
    proposed: list[Candidate] = []
    open_places = list(range(size))
    for attempt in range(search.attempts):
        slots = [Slot(start.generation, place, attempt) for place in open_places]
        answers = _ask([_draw(slot, entry, search, list(mutators), elites) for slot in slots], mutators)
        proposed += answers
        open_places = [candidate.slot.place for candidate in answers if candidate.reason]
    proposed.sort(key=lambda candidate: (candidate.slot.place, candidate.slot.attempt))
    return [replace(candidate, id=start.attempts + 1 + number) for number, candidate in enumerate(proposed)]


@dataclass(frozen=True)
class _Draw:
    """What the random numbers of a slot decided, and the generator for the mutator's own draws."""

    slot: Slot
    mutator: str
    parents: Sequence[Candidate]
    rng: np.random.Generator


def _draw(
    slot: Slot, entry: SearchEntry, search: Search, mutators: Sequence[str], elites: Sequence[Candidate]
) -> _Draw:
    """Draw a mutator, then its parents from the elites of both sides."""
    rng = np.random.default_rng([entry.seed, slot.generation, slot.place, slot.attempt])
    mutator = mutators[int(rng.integers(len(mutators)))]
    parents = draw_parents(elites, search.shown, rng) if entry.arm == "evolution" else []
    return _Draw(slot, mutator, parents, rng)


def draw_parents(elites: Sequence[Candidate], count: int, rng: np.random.Generator) -> list[Candidate]:
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
    side = draw.slot.generation % 2
    try:
        proposal = mutator(draw.parents, draw.rng, draw.slot)
    except Unusable as error:
        return Candidate(0, draw.slot, side, "", "", draw.mutator, reason="unusable", detail=str(error))
    text = canonical_or_source(proposal.source)
    return Candidate(0, draw.slot, side, proposal.source, text, draw.mutator, proposal.parents, proposal.note)
