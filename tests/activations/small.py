"""Small settings for tests: all values that params.yaml has to give, in one place."""

from arrange.activations.search.candidates import Candidate, Slot
from arrange.activations.settings import (
    Fitness,
    Llm,
    NetworkTraining,
    Ranges,
    Rung,
    Rungs,
    Sandbox,
    Search,
    SearchEntry,
)

SEARCHED = ("polynomials", "feynman", "harmonics", "noise")
HELD_OUT = ("rational", "radial", "chirp", "piecewise", "feynman_test")


def ranges(**changes):
    return Ranges(**{"train": 192, "valid": 96, "ood": 192, "stretch": 1.6, "noise": 0.0, "limit": 10.0, **changes})


def rung(problems, seeds, steps, rates=(3e-3,), families=SEARCHED):
    return Rung(problems, seeds, steps, rates, families)


def fitness(kept=0.5, **rungs):
    """Networks of eight units on sixteen points."""
    small = {"first": rung(2, 1, 4), **dict.fromkeys(("search", "confirm", "validate"), rung(6, 2, 6))}
    small["test"] = rung(5, 2, 3, (1e-3, 1e-2), HELD_OUT)
    training = NetworkTraining(width=8, depth=1, warmup=2, clip=1.0)
    return Fitness(ranges(train=16, valid=8, ood=16), training, kept, Rungs(**{**small, **rungs}))


def sandbox(**changes):
    return Sandbox(**{"workers": 1, "flops": 100.0, "cpu": 60, "wall": 600.0, "memory": 1024, **changes})


def llm(url="http://localhost/v1", **changes):
    defaults = {"model": "small", "key_variable": "", "temperature": 1.0, "max_tokens": 2000, "calls": 1000}
    prices = {"price_in": 0.0, "price_out": 0.0, "money": 100.0, "seconds": 20.0, "retries": 0}
    return Llm(url, **{**defaults, **prices, **changes})


def search(**changes):
    """The settings of a search, and of its entry where `seed` or `arm` is among the changes."""
    entry = {"arm": changes.pop("arm", "evolution"), "seed": changes.pop("seed", 3)}
    defaults = {"budget": 10**9, "candidates": 60, "generation_size": 8, "elites": 6, "shown": 3, "attempts": 3}
    return SearchEntry(**entry), Search(**{**defaults, "confirmed": 3, "members": 3, **changes})


def elite(id, source, confirmed=0.0, canonical=None, admitted=None):
    """A candidate as mutators see it."""
    text = source if canonical is None else canonical
    return Candidate(id, Slot(0, 0, 0), 0, source, text, "seed", admitted=admitted, confirmed=confirmed)
