"""A cheap real objective for searches: the curve of Mish, to be found from points of it. And children that die."""

import os
import pickle
import signal
from functools import cache

import numpy as np
import torch

from arrange.activations.evaluation import GRID, Admitted, Evaluation, Measurement
from arrange.activations.mutators.expression import expression_mutators
from arrange.activations.programs.canonical import canonical_or_source
from arrange.activations.programs.check import Rejected, compile_program
from arrange.activations.search.candidates import Proposal
from arrange.activations.search.database import opened
from arrange.activations.search.evolve import SEEDS, evolve
from arrange.activations.search.export import tables

POINTS = {
    "search": np.random.default_rng(1).uniform(-4, 4, 5),  # few: a good score may be a false positive
    "confirm": np.random.default_rng(2).uniform(-4, 4, 50),
}
PARTS = {"islands": 2, "migration_every": 2}
STEPS = {"search": 10, "confirm": 30}


def program(expression):
    return f"def activation(x):\n    return {expression}\n"


def curve(source, points):
    return compile_program(source)(torch.from_numpy(points)).numpy()


def distance(values, points):
    mish = torch.nn.functional.mish(torch.from_numpy(points)).numpy()
    return float(np.sqrt(np.mean((values - mish) ** 2)))


@cache
def judged(source, name):
    """Above 0 where nearer to Mish than GELU is."""
    try:
        on_grid = curve(source, GRID)
    except Rejected as error:
        return Evaluation(None, error.reason, error.detail, 0)
    if not np.isfinite(on_grid).all():
        return Evaluation(None, "not_finite", "", 0)
    admitted = Admitted(float(len(canonical_or_source(source)) % 40), True, 1.0, tuple(on_grid.tolist()))
    points = POINTS[name]
    far = distance(curve(source, points), points)
    gelu = distance(curve("def activation(x): return F.gelu(x)", points), points)
    measured = Measurement(name, "mish", "curves", 0, 0.1, far, far, far)
    return Evaluation(float(np.log((gelu + 0.01) / (far + 0.01))), "", "", STEPS[name], admitted, (measured,))


def objective(sources, name):
    return [judged(source, name) for source in sources]


NAMES = ("relu", "leaky_relu", "elu", "gelu", "silu", "softplus", "softsign", "tanh", "sigmoid", "sin", "snake")
KNOWN = tuple(SEEDS[name] for name in NAMES)  # without mish


def run(path, search, mutators, evaluate=objective, seeds=KNOWN, **more):
    """Search to the end; `search` is a pair of `small.search`, `mutators` may be a function of the LLM cache."""
    with opened(path, *search) as database:
        made = mutators(database.llm_cache) if callable(mutators) else mutators
        evolve(database, *search, evaluate, made, seeds, **more)


def paying(receipts):
    """A mutator that pays for its answers (a line in `receipts`), unless the cache has them; and the offline ones."""

    def mutators(cache):
        def paid(parents, rng, slot):
            prompt = f"improve on {[parent.source for parent in parents]}"
            answer, _ = cache.recall(slot, prompt) or (None, "")
            if answer is None:
                with receipts.open("a") as file:
                    file.write(f"{slot}\n")
                answer = f"def activation(x): return {rng.normal():.3f} * torch.sin(x)"
                cache.record(slot, prompt, answer, len(prompt), 10, 0.01, "")
            return Proposal(answer, tuple(parent.id for parent in parents[:1]))

        return {**expression_mutators(), "paid": paid}

    return mutators


def exported(path, folder):
    """The bytes of all tables."""
    folder.mkdir()
    for name, table in tables(path).items():
        table.write_parquet(folder / name)
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def in_child(work):
    """Run `work()` in a child process: what it returned, what it raised in words, or the signal that it died of."""
    readable, writable = os.pipe()
    child = os.fork()
    if not child:
        os.close(readable)
        try:
            result = work()
        except Exception as error:
            result = f"{type(error).__name__}: {error}"
        with os.fdopen(writable, "wb") as pipe:
            pickle.dump(result, pipe)
        os._exit(0)
    os.close(writable)
    with os.fdopen(readable, "rb") as pipe:
        told = pipe.read()
    status = os.waitpid(child, 0)[1]
    return signal.Signals(os.WTERMSIG(status)) if os.WIFSIGNALED(status) else pickle.loads(told)
