"""Stage `search`: one search for activation functions, an arm from a seed, up to its budget."""

import time
from collections.abc import Callable
from pathlib import Path

from arrange.activations.evaluator import laboratory
from arrange.activations.mutators.endpoint import Llm
from arrange.activations.mutators.expression import expression
from arrange.activations.mutators.llm import llm
from arrange.activations.search import database, export
from arrange.activations.search.evolve import evolve
from arrange.activations.search.progress import Generation
from arrange.activations.search.proposals import Ledger, Mutator
from arrange.activations.search.settings import Search
from arrange.files import replacing
from settings import params
from settings.activations import Searching
from tasks import stage

INDEPENDENT = ("random", "llm_sample")  # mutators that look at no parent: the control has these alone


def search(name: str) -> None:
    """-> activations/searches/<name>/: candidates, measurements, elites, calls (parquet), generations.csv."""
    settings = params.read()
    chosen = settings.searches[name]
    told = Search(seed=chosen.seed, **settings.search.model_dump())
    told = told.control() if chosen.arm == "random" else told
    state = stage.resumable() / "search.db"
    with (
        database.opened(state, told) as opened,
        laboratory(settings.fitness.model_dump(), chosen.seed, **settings.sandbox.model_dump()) as measure,
        stage.progress(told.candidates, "candidates") as reached,
    ):
        makers = mutators(chosen, Llm(**settings.llm.model_dump()), opened.ledger)
        evolve(opened, told, measure, makers, report=shown(reached, opened.position().candidates))
    tables = export.tables(state)
    with replacing(Path("activations", "searches", name)) as part:
        part.mkdir()
        tables.pop("generations").write_csv(part / "generations.csv")
        for table, rows in tables.items():
            rows.write_parquet(part / f"{table}.parquet")
    stage.finished()


def mutators(chosen: Searching, endpoint: Llm, ledger: Ledger) -> dict[str, Mutator]:
    """What makes proposals: the grammar, a language model or both; for the control, independent samples of them."""
    found: dict[str, Mutator] = {}
    if "expression" in chosen.mutators:
        found |= expression()
    if "llm" in chosen.mutators:
        found |= llm(endpoint, ledger)
    return {name: made for name, made in found.items() if chosen.arm == "evolution" or name in INDEPENDENT}


def shown(reached: Callable[[int, str], None], before: int) -> Callable[[Generation], None]:
    """What to do after each generation: bring the progress line up to date."""
    started = time.monotonic()

    def show(now: Generation) -> None:
        best = "-" if now.best is None else f"{now.best.fitness:+.3f}"
        median = "-" if now.median is None else f"{now.median:+.3f}"
        rejected = " ".join(f"{reason} {count}" for reason, count in now.rejected.most_common())
        pace = 60 * (now.candidates - before) / (time.monotonic() - started)
        line = f"generation {now.generation}, best {best}, median {median}, {pace:.0f} a minute"
        reached(now.candidates, f"{line}; rejected: {rejected or 'none'}")

    return show


if __name__ == "__main__":
    stage.run(search)
