"""A cheap real objective for searches: three curves to be found from points of them. And children that die."""

import os
import pickle
import signal
from functools import cache

import numpy as np
import torch

from arrange.activations.evaluation import GRID, REFERENCE, Admitted, Evaluation, Measurement
from arrange.activations.mutators.expression import expression_mutators
from arrange.activations.portfolio import gain
from arrange.activations.programs.canonical import canonical_or_source
from arrange.activations.programs.check import Rejected, compile_program
from arrange.activations.search.candidates import Proposal
from arrange.activations.search.database import opened
from arrange.activations.search.evolve import KNOWN, evolve
from arrange.activations.search.export import tables

TARGETS = {  # by family; every second one is a side
    "mish": lambda x: torch.nn.functional.mish(x),
    "wave": lambda x: torch.sin(2 * x),
    "bell": lambda x: torch.exp(-(x**2)),
    "bent": lambda x: torch.nn.functional.softplus(x) - torch.cos(x),
}
SEEDS = {"search": 1, "confirm": 2}
STEPS = {"search": 10, "confirm": 30}


def program(expression):
    return f"def activation(x):\n    return {expression}\n"


def curve(source, points):
    return compile_program(source)(torch.from_numpy(points)).numpy()


@cache
def admitted(source):
    try:
        on_grid = curve(source, GRID)
    except Rejected as error:
        return Evaluation(None, error.reason, error.detail, 0)
    if not np.isfinite(on_grid).all():
        return Evaluation(None, "not_finite", "", 0)
    if not on_grid.any():
        return Evaluation(None, "gradient", "", 0)
    flops = float(len(canonical_or_source(source)) % 40)
    return Evaluation(None, "", "", 0, Admitted(flops, True, 1.0, tuple(on_grid.tolist())))


@cache
def measured(source, name, side):
    """The distance from each target of the side on a few points, to validate, and on others."""
    found = []
    for family in list(TARGETS)[side::2]:
        errors = []
        for kind in range(2):
            points = np.random.default_rng([SEEDS[name], kind]).uniform(-4, 4, 5)
            truth = TARGETS[family](torch.from_numpy(points)).numpy()
            errors.append(float(np.sqrt(np.mean((curve(source, points) - truth) ** 2))) + 0.01)
        found.append(Measurement(name, f"{family} 0", family, 0, 0.1, errors[0], *errors))
    return tuple(found)


def objective(sources, name, side=None, portfolio=(REFERENCE,)):
    return [judged(source, name, side, tuple(portfolio)) for source in sources]


@cache
def judged(source, name, side, portfolio=(REFERENCE,)):
    told = admitted(source)
    if name == "admit" or told.reason:
        return told
    members = {one: measured(one, name, side) for one in portfolio}
    own = measured(source, name, side)
    steps = 0 if source in members else STEPS[name]
    return Evaluation(gain(members, own), "", "", steps, told.admitted, own)


NAMES = ("relu", "elu", "gelu", "silu", "softplus", "tanh", "sin")
SEEDED = tuple(KNOWN[name] for name in NAMES)


def run(path, search, mutators, evaluate=objective, seeds=SEEDED, **more):
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
                answer = f"def activation(x): return torch.sin(x) + {rng.normal():.3f} * x"
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
