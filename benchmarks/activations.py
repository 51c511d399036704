"""Candidates per minute: networks trained as one batch and one by one, a search at work, the cost of the sandbox.

One process and one thread for the training; the search runs the preset `quick` on two sandboxed workers until it has
measured so many candidates. Both ways of training must agree in their predictions.
"""

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import psutil
import torch
import torch.nn.functional as F  # noqa: N812
from _one_by_one import fit_one_by_one
from rich.console import Console
from rich.table import Table

from arrange.activations.evaluation import Job
from arrange.activations.fitness.training import fit
from arrange.activations.fitness.trial import draw_trial
from arrange.activations.sandbox.pool import Pool
from arrange.activations.sandbox.work import carry_out
from arrange.activations.search.evolve import SEEDS
from arrange.activations.search.run import run_search
from arrange.activations.settings import Fitness, Sandbox, SearchEntry
from settings import params
from settings.sections import Settings

SEED = 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer candidates and repetitions")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    settings = params.validate(params.effective(params.load(), "quick", {}), "preset quick")
    batched, alone, networks, difference = training(settings.fitness, repeats=3 if quick else 7)
    candidates, seconds = searching(settings, 60 if quick else 200)
    inside, outside = admission(settings.sandbox, repeats=3 if quick else 10)
    rows = {
        f"{networks} networks as one batch, s": batched,
        f"{networks} networks one after the other, s": alone,
        "admission in the sandbox, ms": [1000 * value for value in inside],
        "admission without it, ms": [1000 * value for value in outside],
    }
    show(rows, candidates, seconds, difference)
    result = {
        "batched_speedup": round(statistics.median(alone) / statistics.median(batched), 2),
        "candidates_per_minute": round(60 * candidates / seconds, 1),
        "sandbox_ms": round(1000 * (statistics.median(inside) - statistics.median(outside)), 2),
        "largest_difference": difference,
    }
    print(json.dumps(result))


def training(fitness: Fitness, repeats: int) -> tuple[list[float], list[float], int, float]:
    """Seconds of both ways to train a candidate on the rung `search`, networks, largest difference of predictions."""
    trial = draw_trial(fitness, "search", SEED)
    settings = {**trial.settings, "gain": 1.5, "pointwise": True}

    def together() -> list[np.ndarray]:
        return [fit(F.gelu, part.arrays, settings)["ood"] for part in trial.parts]

    def one_by_one() -> list[np.ndarray]:
        return [fit_one_by_one(F.gelu, part.arrays, settings)["ood"] for part in trial.parts]

    pairs = zip(together(), one_by_one(), strict=True)
    difference = max(float(np.abs(ours - theirs).max()) for ours, theirs in pairs)
    assert difference < 0.05, f"the two ways of training differ by {difference}"
    networks = trial.rung.problems * trial.rung.seeds * len(trial.rung.rates)
    return timed(together, repeats), timed(one_by_one, max(1, repeats // 3)), networks, difference


def searching(settings: Settings, candidates: int) -> tuple[int, float]:
    """A search of so many candidates with the preset's protocol, on two workers; how many it had, and the seconds."""
    search, sandbox = replace(settings.search, candidates=candidates), replace(settings.sandbox, workers=2)
    counts: list[int] = []
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        run_search(
            Path(folder, "search.db"),
            SearchEntry("evolution", SEED),
            search,
            settings.fitness,
            sandbox,
            settings.llm,
            lambda count, note: counts.append(count),
        )
        return counts[-1], time.perf_counter() - started


def admission(sandbox: Sandbox, repeats: int) -> tuple[list[float], list[float]]:
    """Seconds of the admission of a program, in the sandbox and in this process."""
    jobs = [Job(source) for source in SEEDS.values()]
    with Pool("", replace(sandbox, workers=1)) as pool:
        pool(jobs)
        inside = [time_of(partial(pool, [job])) for _ in range(repeats) for job in jobs]
    outside = [time_of(partial(carry_out, job, None, sandbox.flops)) for _ in range(repeats) for job in jobs]
    return inside, outside


def timed(work: Callable[[], object], repeats: int) -> list[float]:
    """Seconds of each repetition; `work` was done once before."""
    return [time_of(work) for _ in range(repeats)]


def time_of(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def show(rows: Mapping[str, list[float]], candidates: int, seconds: float, difference: float) -> None:
    """The table, with what it was measured on."""
    title = f"{platform.processor() or platform.machine()}, {psutil.cpu_count()} cores, torch {torch.__version__}"
    table = Table(title=f"{title}; predictions differ by at most {difference:.1e}")
    for name in ("", "median", "least", "most", "n"):
        table.add_column(name, justify="left" if not name else "right")
    for name, values in rows.items():
        numbers = (f"{value:.3f}" for value in (statistics.median(values), min(values), max(values)))
        table.add_row(name, *numbers, str(len(values)))
    table.add_row(f"search: {candidates} candidates, two workers, s", f"{seconds:.1f}", "", "", "1")
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
