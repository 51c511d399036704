"""Machines with several GPUs, for tests that have none."""

from functools import cached_property

import pytest
from transformers import TrainingArguments


def see_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let transformers see two GPUs, as a process without `accelerate launch` does on such a machine."""
    set_up = TrainingArguments.__dict__["_setup_devices"].func

    def with_two(self: TrainingArguments) -> object:
        device = set_up(self)
        self._n_gpu = 2
        return device

    seen = cached_property(with_two)
    seen.__set_name__(TrainingArguments, "_setup_devices")
    monkeypatch.setattr(TrainingArguments, "_setup_devices", seen)
