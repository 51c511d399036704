"""The answers of language models, kept as they come, so that none is paid for twice."""

import sqlite3

from arrange.activations.search.proposals import Slot


class Calls:
    """The `Ledger` in a search's database: what is recorded is on disk before the search goes on."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def recall(self, slot: Slot, prompt: str) -> str | None:
        """The answer recorded for this slot and prompt, or None; a call that failed may be made again."""
        row = self._connection.execute(
            "SELECT answer FROM calls WHERE generation = ? AND place = ? AND attempt = ? AND prompt = ? AND error = ''",
            (slot.generation, slot.place, slot.attempt, prompt),
        ).fetchone()
        return None if row is None else row[0]

    def record(
        self, slot: Slot, prompt: str, answer: str, tokens_in: int, tokens_out: int, money: float, error: str
    ) -> None:
        """Keep an answer, or the error that came instead; committed at once."""
        self._connection.execute(
            "INSERT INTO calls VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (slot.generation, slot.place, slot.attempt, prompt, answer, tokens_in, tokens_out, money, error),
        )

    def spent(self) -> tuple[int, float]:
        """Calls made, failed ones included, and the money they cost."""
        calls, money = self._connection.execute("SELECT count(*), total(money) FROM calls").fetchone()
        return calls, money
