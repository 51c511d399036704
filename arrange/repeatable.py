"""Trainings that repeat themselves bit by bit: pinned threads, deterministic kernels, nothing left behind."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from transformers.utils.logging import disable_progress_bar


@contextmanager
def repeatable(threads: int) -> Iterator[None]:
    """Pin the threads; afterwards set back what transformers' `full_determinism` and this have set."""
    disable_progress_bar()  # of writing a checkpoint
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    environment = dict(os.environ)
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])
        os.environ.clear()
        os.environ.update(environment)
