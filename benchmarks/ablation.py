"""What islands are worth in a search, and evolution against random programs, at equal budget.

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
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table
from scipy.stats import wilcoxon

from arrange.activations.fitness.evaluator import evaluator
from arrange.activations.search.export import tables
from arrange.activations.search.finalists import best_of_searches
from arrange.activations.search.run import run_search
from arrange.activations.settings import Arm, SearchEntry
from settings import params

CONDITIONS: Mapping[str, tuple[Arm, Mapping[str, Any]]] = {
    "plain": ("evolution", {"islands": 1}),
    "two islands": ("evolution", {"islands": 2, "migration_every": 3}),
    "random": ("random", {"islands": 1}),
}
VALIDATED_FROM = 1000  # the seed of the problems that decide


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two seeds, a small budget")
    parser.add_argument("--budget", type=int, default=600_000, help="networks trained x steps, of one search")
    parser.add_argument("--workers", type=int, default=2, help="searches at once")
    arguments = parser.parse_args()
    seeds, budget = (range(1, 3), 230_000) if arguments.quick else (range(1, 6), arguments.budget)
    runs = list(product(CONDITIONS, seeds))
    started = time.perf_counter()
    with ProcessPoolExecutor(arguments.workers) as pool:
        results = dict(zip(runs, pool.map(run, *zip(*((*key, budget) for key in runs), strict=True)), strict=True))
    fitness = {name: np.array([results[name, seed] for seed in seeds]) for name in CONDITIONS}
    show(fitness, budget, time.perf_counter() - started)
    print(json.dumps({name: [round(float(value), 4) for value in values] for name, values in fitness.items()}))


def run(condition: str, seed: int, budget: int) -> float:
    """One search; the fitness of its best on the fresh problems, 0 (that of GELU) where it found nothing."""
    settings = params.read()
    arm, changes = CONDITIONS[condition]
    entry, search = SearchEntry(arm, seed), replace(settings.search, budget=budget, **changes)
    sandbox = replace(settings.sandbox, workers=1)
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder, "search.db")
        run_search(database, entry, search, settings.fitness, sandbox, settings.llm)
        best = best_of_searches({condition: tables(database)["candidates"]}, 1)
    if best.is_empty():
        return 0.0
    with evaluator(settings.fitness, sandbox, VALIDATED_FROM) as evaluate:
        (evaluation,) = evaluate([best["source"][0]], "validate")
    return evaluation.fitness if evaluation.fitness is not None else 0.0


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
