"""Does one job: checks the program, admits it, calls the entry function, and names whatever goes wrong."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import numpy as np

from arrange.activations.evaluation import Activation, Arrays, Job, Outcome
from arrange.activations.programs.admission import admit
from arrange.activations.programs.check import Rejected, compile_program
from arrange.activations.sandbox.wire import one_line

Entry = Callable[[Activation, Arrays, Mapping[str, Any]], dict[str, np.ndarray]]


def entry_function(name: str) -> Entry | None:
    """The function "package.module:function"; None for "", which asks for admission alone."""
    if not name:
        return None
    module, _, function = name.partition(":")
    return getattr(import_module(module), function)


def carry_out(job: Job, entry: Entry | None, flops: float) -> Outcome:
    """Do the job in this process. The pool returns the same bytes for it.

    flops: what the program may cost, per element. The entry function gets the job's settings together with the
    program's `gain` and `pointwise`.
    """
    try:
        activation = compile_program(job.source)
        admitted = admit(activation, flops)
        if entry is None:
            return Outcome(admitted=admitted)
        settings = {**job.settings, "gain": admitted.gain, "pointwise": admitted.pointwise}
        return Outcome(admitted=admitted, arrays=entry(activation, job.arrays, settings))
    except Rejected as rejected:
        return Outcome(rejected.reason, rejected.detail)
    except Exception as error:
        short_of_memory = isinstance(error, MemoryError) or "allocate memory" in str(error) or "bad_alloc" in str(error)
        return Outcome("memory" if short_of_memory else "error", one_line(f"{type(error).__name__}: {error}"))
