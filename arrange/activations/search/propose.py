"""The proposals of a generation, all made from the state at its start: parents, mutator, and up to three attempts."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from arrange.activations.evaluation import Evaluate
from arrange.activations.search.archive import Entry
from arrange.activations.search.bandit import chances
from arrange.activations.search.database import Candidate, Database
from arrange.activations.search.islands import island_of
from arrange.activations.search.novelty import Novelty, form
from arrange.activations.search.parents import draw, log_weights
from arrange.activations.search.proposals import Mutator, Proposal, Shown, Slot, Unusable
from arrange.activations.search.settings import Search

AGAIN = ("unusable", "duplicate", "similar")  # reasons to try once more


def propose(
    database: Database,
    search: Search,
    evaluate: Evaluate,
    mutators: Mapping[str, Mutator],
    size: int,
) -> list[Candidate]:
    """The next generation's attempts by place and attempt; the last of each place is the one to measure.

    Attempts are made in rounds, places in turn, so that it makes no difference how many workers `evaluate` has.
    """
    generation = database.position().generation
    ask = Asking(database, search, mutators)
    judge = Novelty(database, search.islands, evaluate) if search.novelty else list
    tried: list[Candidate] = []
    open_places = list(range(size))
    for attempt in range(search.attempts):
        judged = judge([ask(Slot(generation, place, attempt)) for place in open_places])
        tried += judged
        open_places = [candidate.slot.place for candidate in judged if candidate.reason in AGAIN]
    return sorted(tried, key=lambda candidate: (candidate.slot.place, candidate.slot.attempt))


class Asking:
    """Asks a mutator for a slot's proposal; what it draws depends on the seed, the slot and the state, nothing else."""

    def __init__(self, database: Database, search: Search, mutators: Mapping[str, Mutator]) -> None:
        self._search = search
        self._mutators = mutators
        self._names = list(mutators)
        self._populations = database.elites()
        self._children = database.children()
        self._results = database.results() if search.bandit else []
        self._pending: Counter[str] = Counter()

    def __call__(self, slot: Slot) -> Candidate:
        rng = np.random.default_rng([self._search.seed, slot.generation, slot.place, slot.attempt])
        island = island_of(slot.place, self._search.islands)
        name = self._mutator(rng)
        parents = [] if self._search.arm == "random" else self._parents(self._populations[island], rng)
        try:
            proposal = replace(self._mutators[name](parents, rng, slot), mutator=name)
        except Unusable as error:
            return Candidate(slot, island, Proposal("", name), "", "unusable", str(error))
        return Candidate(slot, island, proposal, form(proposal.source))

    def _mutator(self, rng: np.random.Generator) -> str:
        if not self._search.bandit:
            return self._names[rng.integers(len(self._names))]
        name = self._names[rng.choice(len(self._names), p=chances(self._names, self._results, self._pending))]
        self._pending[name] += 1
        return name

    def _parents(self, population: Sequence[Entry], rng: np.random.Generator) -> list[Shown]:
        if not population:
            return []
        children = [self._children[entry.id] for entry in population]
        weights = log_weights(self._search.parents, [entry.fitness for entry in population], children)
        drawn = [population[place] for place in draw(weights, self._search.shown, rng)]
        return [Shown(entry.id, entry.source, entry.fitness) for entry in drawn]
