"""Deterministic training: a fixed number of threads, and kernels that give the same bits every time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from transformers.utils.logging import disable_progress_bar


@contextmanager
def deterministic(threads: int) -> Iterator[None]:
    """Fix the number of threads; afterwards restore what this and transformers' `full_determinism` have changed.

    The state of the global random generators is not restored.
    """
    disable_progress_bar()  # of writing a checkpoint
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    kernels = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    environment = dict(os.environ)
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = kernels
        os.environ.clear()
        os.environ.update(environment)
