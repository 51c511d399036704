"""The answers of language models, kept as they come, so that none is paid for twice."""

import math
import sqlite3

from arrange.activations.search.proposals import Slot


class Calls:
    """The `Ledger` in a search's database: what is recorded is on disk before the search goes on."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def recall(self, slot: Slot, prompt: str) -> tuple[str, str] | None:
        """The answer recorded for this slot and prompt with its error, or None. A call that failed isn't made again."""
        found: tuple[str, str] | None = self._connection.execute(
            "SELECT answer, error FROM calls WHERE generation = ? AND place = ? AND attempt = ? AND prompt = ?",
            (slot.generation, slot.place, slot.attempt, prompt),
        ).fetchone()
        return found

    def record(
        self, slot: Slot, prompt: str, answer: str, tokens_in: int, tokens_out: int, money: float, error: str
    ) -> None:
        """Keep an answer, or the error that came instead; committed at once."""
        self._connection.execute(
            "INSERT INTO calls VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (slot.generation, slot.place, slot.attempt, prompt, answer, tokens_in, tokens_out, money, error),
        )

    def spent(self, before: tuple[int, int]) -> tuple[int, float]:
        """Calls made in the rounds before this one, failed ones included, and the money they cost."""
        rows = self._connection.execute("SELECT money FROM calls WHERE (generation, attempt) < (?, ?)", before)
        paid = [money for (money,) in rows]
        return len(paid), math.fsum(paid)  # exact: the rows' order is that in which answers came
