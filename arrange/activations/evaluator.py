"""Where programs are measured: the protocol's cascade over a sandbox of its own."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from arrange.activations.fitness.cascade import Cascade
from arrange.activations.fitness.protocol import Protocol, Rung, Training
from arrange.activations.problems.problem import Ranges
from arrange.activations.sandbox.confine import Limits
from arrange.activations.sandbox.pool import Pool

ENTRY = "arrange.activations.fitness.training:fit"


@contextmanager
def laboratory(
    fitness: Mapping[str, Any], seed: int, *, workers: int, flops: float, cpu: int, wall: float, memory: int
) -> Iterator[Cascade]:
    """Yield the cascade of these settings; its processes end with the block.

    fitness: see `protocol`. flops: what an activation may cost, per element. cpu, wall: seconds of one job; memory:
    megabytes.
    """
    with Pool(ENTRY, workers, Limits(cpu=cpu, wall=wall, memory=memory * 2**20), flops) as pool:
        yield Cascade(pool, protocol(**fitness), seed)


def protocol(
    rungs: Mapping[str, Mapping[str, Any]], training: Mapping[str, Any], ranges: Mapping[str, Any], screen: float
) -> Protocol:
    """The protocol of plain settings."""
    made = {name: Rung(**rung) for name, rung in rungs.items()}
    return Protocol(made, Training(**training), Ranges(**ranges), screen)
