"""What the parts of a search are worth: each switched on alone, at equal budget, against a plain one and the control.

Five searches of each kind, seed by seed on the same problems. What counts is the best found function's fitness on fresh
problems and seeds (the rung `validate`, one set for all): polynomials and harmonics that no search saw, and equations
of physics from the searches' own list, of which only the points are new. --quick: two seeds, a small budget.
"""

import argparse
import json
import platform
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table
from scipy.stats import wilcoxon

from arrange.activations.evaluator import laboratory
from arrange.activations.mutators.expression import expression
from arrange.activations.search import database, export
from arrange.activations.search.evolve import evolve
from arrange.activations.search.settings import Search
from settings import params

PLAIN: Mapping[str, Any] = {
    "parents": "uniform",
    **dict.fromkeys(("archive", "novelty", "bandit"), False),
    "islands": 1,
    "migration_every": 3,
}
CONDITIONS: Mapping[str, Mapping[str, Any]] = {
    "plain": {},
    "archive": {"archive": True},
    "weighted parents": {"parents": "weighted"},
    "novelty": {"novelty": True},
    "bandit": {"bandit": True},
    "two islands": {"islands": 2},
    "all of them": {"archive": True, "parents": "weighted", "novelty": True, "bandit": True, "islands": 2},
    "random": {"arm": "random"},
}
VALIDATED_FROM = 1000  # the seed of the problems that decide


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two seeds, a small budget")
    parser.add_argument("--budget", type=int, default=600_000, help="networks trained x steps, of one search")
    parser.add_argument("--workers", type=int, default=2, help="searches at once")
    words = parser.parse_args()
    seeds, budget = (range(1, 3), 230_000) if words.quick else (range(1, 6), words.budget)
    runs = list(product(CONDITIONS, seeds))
    started = time.perf_counter()
    with ProcessPoolExecutor(words.workers) as pool:
        found = dict(zip(runs, pool.map(run, *zip(*((*key, budget) for key in runs), strict=True)), strict=True))
    fitness = {name: np.array([found[name, seed] for seed in seeds]) for name in CONDITIONS}
    show(fitness, budget, time.perf_counter() - started)
    print(json.dumps({name: [round(float(value), 4) for value in values] for name, values in fitness.items()}))


def run(condition: str, seed: int, budget: int) -> float:
    """One search; the fitness of its best on the fresh problems, 0 (that of GELU) where it found nothing."""
    settings = params.read()
    told = Search(**{**settings.search.model_dump(), **PLAIN, **CONDITIONS[condition], "budget": budget}, seed=seed)
    mutators = expression() if told.arm == "evolution" else {"random": expression()["random"]}
    sandbox = {**settings.sandbox.model_dump(), "workers": 1}
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder, "search.db")
        fitness = settings.fitness.model_dump()
        with database.opened(state, told) as opened, laboratory(fitness, seed, **sandbox) as measure:
            evolve(opened, told, measure, mutators)
        best = export.finalists(export.tables(state)["candidates"], 1)
    if best.is_empty():
        return 0.0
    with laboratory(fitness, VALIDATED_FROM, **sandbox) as measure:
        (validated,) = measure([best["source"][0]], "validate")
    return validated.fitness if validated.fitness is not None else 0.0


def show(fitness: Mapping[str, np.ndarray], budget: int, seconds: float) -> None:
    """The table: every search's best, and each condition against the plain one."""
    machine = f"{platform.processor() or platform.machine()}, {psutil.cpu_count()} cores"
    table = Table(title=f"fitness of the best on fresh problems; {budget:,} steps a search; {machine}, {seconds:.0f} s")
    for name in ("", "mean", "median", "least", "most", "against plain", "p (Wilcoxon)"):
        table.add_column(name, justify="left" if not name else "right")
    for name, values in fitness.items():
        numbers = [f"{value:+.3f}" for value in (values.mean(), np.median(values), values.min(), values.max())]
        difference = values - fitness["plain"]
        p = f"{wilcoxon(difference).pvalue:.2f}" if difference.any() else "-"
        table.add_row(name, *numbers, f"{difference.mean():+.3f}", p)
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
