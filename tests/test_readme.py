"""The README says what is so."""

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from docs import tables

README = Path("README.md").read_text()


def test_the_results_table_is_made_from_the_committed_metrics():
    assert tables.with_table(README) == README


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


def test_the_example_of_the_library_runs():
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names: dict = {}
    exec(example, names)
    assert names["catalogue"].walk([5, 8, 2]) > 0
    weights = names["losses"].weights("item", {"alpha": 1.0}, [1, 2, 2, 4])
    assert np.exp(weights.node_D) == pytest.approx([1, 1 / 2, 1 / 2, 1 / 4])
