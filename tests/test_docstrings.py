"""The examples in docstrings give what they say."""

import doctest
import importlib
from pathlib import Path

import pytest

MODULES = sorted(
    ".".join(path.with_suffix("").parts)
    for folder in ("arrange", "tasks")
    for path in Path(folder).rglob("*.py")
    if ">>> " in path.read_text()
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0
