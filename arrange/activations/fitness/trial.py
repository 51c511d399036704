"""The problems and first weights of a rung, as jobs for the sandbox. They are the same for all candidates."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from zlib import crc32

import numpy as np

from arrange.activations.evaluation import Arrays, Job, Measurement, Outcome
from arrange.activations.fitness.scoring import scores
from arrange.activations.problems.draw import draw
from arrange.activations.problems.problem import Problem
from arrange.activations.settings import Fitness, Rung

NETWORKS = 64  # at most in one job, to bound its memory and its time
SETS = {"first": "search"}  # rungs that use another rung's problems and seeds; the others have fresh ones
INPUTS = {"train_x": "train_x_ND", "train_y": "train_y_N", "valid_x": "valid_x_ND", "ood_x": "ood_x_ND"}


@dataclass(frozen=True)
class Part:
    """Some problems of a trial, as one job."""

    problems: Sequence[Problem]
    arrays: Arrays


@dataclass(frozen=True)
class Trial:
    """A rung with its problems."""

    name: str
    rung: Rung
    settings: Mapping[str, Any]
    parts: Sequence[Part]

    def jobs(self, source: str) -> list[Job]:
        """What to run for a candidate."""
        return [Job(source, part.arrays, self.settings) for part in self.parts]

    def measurements(self, outcomes: Sequence[Outcome]) -> list[Measurement]:
        """The measurements from the outcomes of the jobs. Raises ValueError where one holds no predictions."""
        return [
            measurement
            for part, outcome in zip(self.parts, outcomes, strict=True)
            for measurement in scores(self.name, self.rung, part.problems, outcome.arrays)
        ]


def draw_trial(fitness: Fitness, name: str, seed: int, side: int | None = None) -> Trial:
    """Draw the problems and the seeds of a rung, from the seed and the name of its set, so that sets differ.

    With a side (0 or 1) all problems are of every second family, from this one on.
    """
    rung = fitness.rungs[name]
    families = rung.families if side is None else rung.families[side::2]
    own = int(np.random.SeedSequence([seed, crc32(SETS.get(name, name).encode())]).generate_state(1)[0])
    problems = draw(families, rung.problems, own, fitness.ranges)
    settings = {**asdict(fitness.training), "steps": rung.steps, "rates": list(rung.rates)}
    return Trial(name, rung, settings, [Part(some, _arrays(some, rung, own)) for some in _split(problems, rung)])


def _split(problems: Sequence[Problem], rung: Rung) -> Iterator[Sequence[Problem]]:
    """The problems in parts of at most NETWORKS networks, and of at least one problem."""
    size = max(1, NETWORKS // (rung.seeds * len(rung.rates)))
    return (problems[start : start + size] for start in range(0, len(problems), size))


def _arrays(problems: Sequence[Problem], rung: Rung, seed: int) -> Arrays:
    """What a job may see: inputs, training targets, and the keys from which first weights are drawn."""
    columns = {name: np.stack([getattr(problem, field) for problem in problems]) for name, field in INPUTS.items()}
    keys = [[_key(problem, seed, s) for s in range(rung.seeds)] for problem in problems]
    return {**columns, "inputs": np.array([problem.inputs for problem in problems]), "keys": np.array(keys)}


def _key(problem: Problem, seed: int, s: int) -> int:
    return int(np.random.SeedSequence([seed, crc32(problem.name.encode()), s]).generate_state(1)[0])
