"""The search: generation after generation, each from what the database holds and committed to it as a whole."""

from collections.abc import Callable, Mapping, Sequence

from arrange.activations.evaluation import Evaluate
from arrange.activations.search.database import SEED, Candidate, Database
from arrange.activations.search.islands import migrate
from arrange.activations.search.novelty import form
from arrange.activations.search.progress import Generation, generation
from arrange.activations.search.proposals import Mutator, Proposal, Slot
from arrange.activations.search.propose import propose
from arrange.activations.search.seeds import SEEDS
from arrange.activations.search.selection import elect, measure, retest
from arrange.activations.search.settings import Search


def evolve(
    database: Database,
    search: Search,
    evaluate: Evaluate,
    mutators: Mapping[str, Mutator],
    seeds: Sequence[str] = tuple(SEEDS.values()),
    report: Callable[[Generation], object] = lambda generation: None,
) -> None:
    """Search until the budget is spent; what the database has already is not done again.

    `evaluate` is called with the names "search", "confirm" and, where novelty is on, "admit" (for admission alone).
    A generation that was not committed is done again from the same random numbers, so a search that was killed ends
    with the same rows as an unbroken one.

    >>> with opened(Path("search.db"), search) as database:  # doctest: +SKIP
    ...     evolve(database, search, cascade, expression(), report=print)
    """
    while (start := database.position()).member_steps < search.budget and start.candidates < search.candidates:
        left = search.candidates - start.candidates
        if start.generation == 0:
            tried = [planted(place, source) for place, source in enumerate(seeds[:left])]
        else:
            tried = propose(database, search, evaluate, mutators, min(search.generation_size, left))
        fresh = measure(dict(enumerate(tried, start.attempts + 1)), evaluate, database.measured)
        populations = database.elites()
        fresh = retest(fresh, populations, database.retested(), search, evaluate)
        elites = [elect(population, fresh, island, search) for island, population in enumerate(populations)]
        if start.generation % search.migration_every == 0:
            elites = migrate(elites, search.places)
        database.commit(fresh, elites)
        report(generation(database.connection, start.generation))


def planted(place: int, source: str) -> Candidate:
    """A program that the search begins with, on all islands."""
    return Candidate(Slot(0, place, 0), None, Proposal(source, SEED), form(source))
