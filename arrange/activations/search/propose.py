"""The proposals of a generation, all made from the state at its start: parents, mutator, and up to three attempts."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from arrange.activations.evaluation import Evaluate
from arrange.activations.search.archive import Entry
from arrange.activations.search.bandit import chances
from arrange.activations.search.database import Candidate, Database
from arrange.activations.search.islands import island_of
from arrange.activations.search.novelty import Novelty, form
from arrange.activations.search.parents import draw, log_weights
from arrange.activations.search.proposals import Mutator, Prepared, Proposal, Shown, Slot, Unusable
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

    Attempts are made in rounds, places in turn, so that it makes no difference how many workers `evaluate` has
    or which of a round's questions a language model answers first.
    """
    generation = database.position().generation
    ask = Asking(database, search, mutators)
    judge = Novelty(database, search.islands, evaluate) if search.novelty else list
    tried: list[Candidate] = []
    open_places = list(range(size))
    for attempt in range(search.attempts):
        judged = judge(ask([Slot(generation, place, attempt) for place in open_places]))
        tried += judged
        open_places = [candidate.slot.place for candidate in judged if candidate.reason in AGAIN]
    return sorted(tried, key=lambda candidate: (candidate.slot.place, candidate.slot.attempt))


@dataclass(frozen=True)
class Drawn:
    """What was drawn for a slot: who is asked and about which parents, and what draws the rest."""

    slot: Slot
    mutator: str
    parents: Sequence[Shown]
    rng: np.random.Generator


class Asking:
    """Asks mutators for a round's proposals; what it draws depends on seed, slot and state, nothing else."""

    def __init__(self, database: Database, search: Search, mutators: Mapping[str, Mutator]) -> None:
        self._search = search
        self._mutators = mutators
        self._names = list(mutators)
        self._populations = database.elites()
        self._children = database.children()
        self._results = database.results() if search.bandit else []
        self._pending: Counter[str] = Counter()

    def __call__(self, slots: Sequence[Slot]) -> list[Candidate]:
        """A candidate for each, in order. All is drawn before the first is asked for, so that waiting is done once."""
        drawn = [self._drawn(slot) for slot in slots]
        for each in drawn:
            mutator = self._mutators[each.mutator]
            if isinstance(mutator, Prepared):
                mutator.prepare(each.parents, each.slot)
        return [self._candidate(each) for each in drawn]

    def _drawn(self, slot: Slot) -> Drawn:
        rng = np.random.default_rng([self._search.seed, slot.generation, slot.place, slot.attempt])
        population = self._populations[island_of(slot.place, self._search.islands)]
        name = self._mutator(rng)
        return Drawn(slot, name, [] if self._search.arm == "random" else self._parents(population, rng), rng)

    def _candidate(self, drawn: Drawn) -> Candidate:
        island, name = island_of(drawn.slot.place, self._search.islands), drawn.mutator
        try:
            proposal = replace(self._mutators[name](drawn.parents, drawn.rng, drawn.slot), mutator=name)
        except Unusable as error:
            return Candidate(drawn.slot, island, Proposal("", name), "", "unusable", str(error))
        return Candidate(drawn.slot, island, proposal, form(proposal.source))

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
