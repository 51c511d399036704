"""How a search stands after a generation."""

import sqlite3
from collections import Counter
from dataclasses import dataclass
from statistics import median

from arrange.activations.search.proposals import Shown


@dataclass(frozen=True)
class Generation:
    """The state after a generation; counts are of all generations so far."""

    generation: int
    candidates: int
    best: Shown | None  # by confirmed fitness
    median: float | None  # search fitness of this generation's candidates that have one
    rejected: Counter[str]  # attempts without a fitness, by reason
    member_steps: int


def generation(connection: sqlite3.Connection, number: int) -> Generation:
    """How the search stood after a generation, from its database."""

    def rows(query: str) -> list[tuple]:
        return connection.execute(query, (number,)).fetchall()

    best = rows(
        "SELECT id, source, confirmed FROM candidates WHERE generation <= ? AND confirmed IS NOT NULL "
        "ORDER BY confirmed DESC, id LIMIT 1"
    )
    scores = [
        fitness for (fitness,) in rows("SELECT fitness FROM candidates WHERE generation = ? AND fitness NOT NULL")
    ]
    reasons = rows("SELECT reason, count(*) FROM candidates WHERE generation <= ? AND reason != '' GROUP BY reason")
    places = rows("SELECT count(*) FROM candidates WHERE generation <= ? AND attempt = 0")
    steps = rows("SELECT coalesce(sum(member_steps), 0) FROM candidates WHERE generation <= ?")
    return Generation(
        number,
        places[0][0],
        Shown(*best[0]) if best else None,
        median(scores) if scores else None,
        Counter(dict(reasons)),
        steps[0][0],
    )
