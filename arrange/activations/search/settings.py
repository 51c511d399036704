"""What a search is told: its arm, its seed, its budget, and which of its parts are on."""

from dataclasses import dataclass, replace
from typing import Literal

from arrange.activations.search.parents import Rule
from arrange.errors import UserError


@dataclass(frozen=True)
class Search:
    """The settings of one search. All parts that an ablation can take away are off unless they are asked for.

    Raises UserError where the random control is given parts that look at what came before.
    """

    seed: int
    budget: int  # member-steps, re-tests included: no generation starts at or beyond it
    candidates: int  # and no more of these than that, seeds included
    arm: Literal["evolution", "random"] = "evolution"
    generation_size: int = 16
    elites: int = 8  # of an island, where the archive is off
    shown: int = 3  # elites that a mutator sees
    attempts: int = 3  # to propose something usable and novel for one place
    parents: Rule = "uniform"
    archive: bool = False  # an elite per cell of cost and roughness, instead of the best
    novelty: bool = False  # what looks like a program of the island is not measured
    bandit: bool = False  # mutators by what they brought so far, instead of evenly
    islands: int = 1
    migration_every: int = 10  # generations

    def __post_init__(self) -> None:
        if self.arm == "random" and (self.novelty or self.bandit):
            raise UserError(
                "the random arm has novelty or bandit on", "turn both off: a control ignores what came before"
            )

    @property
    def places(self) -> int:
        """How many elites a cell of the archive holds; without archive, all are in one cell."""
        return 1 if self.archive else self.elites

    def control(self) -> "Search":
        """The random search to compare with: the same seed, budget and re-tests."""
        return replace(self, arm="random", novelty=False, bandit=False)
