"""A rung made ready: its problems and first weights drawn, its jobs packed. The same for all candidates."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from zlib import crc32

import numpy as np

from arrange.activations.evaluation import Arrays, Job, Measurement, Outcome
from arrange.activations.fitness.protocol import Protocol, Rung, scores
from arrange.activations.problems.draw import draw
from arrange.activations.problems.problem import Problem

NETWORKS = 64  # most in one job: what bounds its memory and its time
SETS = {"first": "search"}  # rungs that take the problems and seeds of another's set; the others have fresh ones
SEEN = {"train_x": "train_x_ND", "train_y": "train_y_N", "valid_x": "valid_x_ND", "ood_x": "ood_x_ND"}


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
        """What the outcomes of the jobs are worth. Raises ValueError where one holds no predictions."""
        pairs = zip(self.parts, outcomes, strict=True)
        return [
            found for part, outcome in pairs for found in scores(self.name, self.rung, part.problems, outcome.arrays)
        ]


def trial(protocol: Protocol, name: str, seed: int) -> Trial:
    """Draw the problems and the seeds of a rung: by the seed and the name of its set, so that other sets differ."""
    rung = protocol.rungs[name]
    own = int(np.random.SeedSequence([seed, crc32(SETS.get(name, name).encode())]).generate_state(1)[0])
    problems = draw(rung.families, rung.problems, own, protocol.ranges)
    settings = {**asdict(protocol.training), "steps": rung.steps, "rates": list(rung.rates)}
    return Trial(name, rung, settings, [Part(some, _arrays(some, rung, own)) for some in _split(problems, rung)])


def _split(problems: Sequence[Problem], rung: Rung) -> Iterator[Sequence[Problem]]:
    """As many problems at a time as have NETWORKS networks, one at least."""
    size = max(1, NETWORKS // (rung.seeds * len(rung.rates)))
    return (problems[start : start + size] for start in range(0, len(problems), size))


def _arrays(problems: Sequence[Problem], rung: Rung, seed: int) -> Arrays:
    """What a job may see: inputs, training targets, and the keys of first weights, which problem and seed give."""
    columns = {name: np.stack([getattr(problem, field) for problem in problems]) for name, field in SEEN.items()}
    keys = [[_key(problem, seed, s) for s in range(rung.seeds)] for problem in problems]
    return {**columns, "inputs": np.array([problem.inputs for problem in problems]), "keys": np.array(keys)}


def _key(problem: Problem, seed: int, s: int) -> int:
    return int(np.random.SeedSequence([seed, crc32(problem.name.encode()), s]).generate_state(1)[0])
