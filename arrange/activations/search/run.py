"""One search from its settings: database, sandbox, mutators, and a line of progress."""

import time
from collections.abc import Callable
from pathlib import Path

from arrange.activations.fitness.evaluator import evaluator
from arrange.activations.mutators import make_mutators
from arrange.activations.search.database import Progress, opened
from arrange.activations.search.evolve import evolve, is_spent
from arrange.activations.settings import Fitness, Llm, Sandbox, Search, SearchEntry

SPENT = "; the language model's budget is spent"


def run_search(
    path: Path,
    entry: SearchEntry,
    search: Search,
    fitness: Fitness,
    sandbox: Sandbox,
    llm: Llm,
    reached: Callable[[int, str], object] = lambda candidates, note: None,
) -> None:
    """Search up to the budget, with the state in the database at `path`, from where an earlier process stopped.

    `reached` is called after each generation with the number of candidates so far and a line that says how it went.
    """
    with opened(path, entry, search) as database, evaluator(fitness, sandbox, entry.seed) as evaluate:
        mutators = make_mutators(entry, llm, database.llm_cache)
        before, started = database.position().candidates, time.monotonic()

        def after_generation(progress: Progress) -> None:
            pace = 60 * (progress.candidates - before) / (time.monotonic() - started)
            spent = any(is_spent(mutator, progress.generation + 1) for mutator in mutators.values())
            reached(progress.candidates, describe(progress, pace) + SPENT * spent)

        evolve(database, entry, search, evaluate, mutators, after_generation=after_generation)


def describe(progress: Progress, pace: float) -> str:
    """The progress in one line; pace: candidates per minute."""
    best, median = ("-" if value is None else f"{value:+.3f}" for value in (progress.confirmed, progress.median))
    rejected = " ".join(f"{reason} {count}" for reason, count in progress.rejected.most_common()) or "none"
    portfolio = f"{progress.members} in the portfolio (gain {progress.gain:.3f})"
    line = f"generation {progress.generation}, {portfolio}, best {best}, median {median}, {pace:.0f} a minute"
    return f"{line}; rejected: {rejected}"
