"""What passes between the search and its mutators: programs shown, a program proposed, the slot it was asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np


@dataclass(frozen=True)
class Shown:
    """A program as a mutator sees it."""

    id: int
    source: str
    fitness: float


@dataclass(frozen=True)
class Proposal:
    """A program to measure, who made it and from which parents."""

    source: str
    mutator: str
    parents: tuple[int, ...] = ()
    note: str = ""


class Unusable(Exception):  # noqa: N818 (an answer, not an error)
    """A mutator's answer that is no program; the message is the reason, one line. Counted, never fatal."""


@dataclass(frozen=True)
class Slot:
    """Where in the search a proposal is asked for: the key by which an LLM's answers are remembered."""

    generation: int
    place: int
    attempt: int

    @property
    def round(self) -> tuple[int, int]:
        """Generation and attempt: a round's slots are asked for together, one round after the other."""
        return self.generation, self.attempt


class Mutator(Protocol):
    """Makes a new program of others; with no parents, a program from nothing."""

    def __call__(self, parents: Sequence[Shown], rng: np.random.Generator, slot: Slot) -> Proposal:
        """Return a program, or raise `Unusable`."""
        ...


@runtime_checkable
class Prepared(Protocol):
    """A mutator that waits for others: it hears of each of a round's slots before any proposal is wanted."""

    def prepare(self, parents: Sequence[Shown], slot: Slot) -> None:
        """Note what the slot will ask for."""
        ...


class Ledger(Protocol):
    """Remembers paid answers, so that a search that is started again pays for none twice."""

    def recall(self, slot: Slot, prompt: str) -> tuple[str, str] | None:
        """The answer recorded for this slot and prompt with the error that came instead, or None."""
        ...

    def record(
        self, slot: Slot, prompt: str, answer: str, tokens_in: int, tokens_out: int, money: float, error: str
    ) -> None:
        """Keep an answer, or the error that came instead, at once."""
        ...

    def spent(self, before: tuple[int, int]) -> tuple[int, float]:
        """Calls made and money spent in the rounds before this one."""
        ...
