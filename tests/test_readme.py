"""The README says what is so."""

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from arrange.activations import found
from arrange.activations.mined import gelusine
from docs import tables

README = Path("README.md").read_text()


def test_the_results_table_is_made_from_the_committed_metrics():
    assert tables.with_table(README, tables.table()) == README


def test_the_dated_results_begin_with_what_make_reproduce_checks():
    dated = Path("RESULTS.md").read_text()
    assert tables.with_table(dated, tables.conditions()) == dated


def test_every_make_target_that_is_named_exists():
    documents = [Path("README.md"), Path("CONTRIBUTING.md"), *Path("docs").glob("*.md")]
    named = {target for file in documents for target in re.findall(r"`make ([a-z-]+)", file.read_text())}
    listed = subprocess.run(["make", "help"], capture_output=True, text=True, check=True).stdout
    assert named <= set(re.findall(r"^make ([a-z-]+)", listed, re.MULTILINE))


def test_the_tree_names_every_folder():
    tracked = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout.splitlines()
    folders = {f"{name.split('/')[0]}/" for name in tracked if "/" in name and not name.startswith(".")}
    folders |= {f"arrange/{name.split('/')[1]}/" for name in tracked if re.match(r"arrange/\w+/", name)}
    assert folders <= set(re.findall(r"^    (\S+/) +\w", README, re.MULTILINE))


def test_the_examples_of_the_library_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found.save(tmp_path / "activations" / "found" / "best.py", found.text(gelusine), {"fitness": 0.1})
    names: dict = {}
    for example in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
        exec(example, names)
    assert names["catalogue"].walk([5, 8, 2]) > 0
    weights = names["losses"].weights("item", {"alpha": 1.0}, [1, 2, 2, 4])
    assert np.exp(weights.node_D) == pytest.approx([1, 1 / 2, 1 / 2, 1 / 4])
    assert names["best"](torch.ones(1)).item() == pytest.approx(0.92549, abs=1e-5)
