"""The README says what is so."""

import re
import subprocess
from pathlib import Path

from docs import tables

README = Path("README.md").read_text()


def test_the_results_table_is_made_from_the_committed_metrics():
    assert tables.with_table(README, tables.table()) == README


def test_the_dated_results_begin_with_what_make_reproduce_checks():
    dated = Path("RESULTS.md").read_text()
    assert tables.with_table(dated, tables.dated()) == dated


def test_every_make_target_that_is_named_exists():
    documents = [Path("README.md"), Path("CONTRIBUTING.md"), *Path("docs").glob("*.md")]
    named = {target for file in documents for target in re.findall(r"`make ([a-z-]+)", file.read_text())}
    listed = subprocess.run(["make", "help"], capture_output=True, text=True, check=True).stdout
    assert named <= set(re.findall(r"^make ([a-z-]+)", listed, re.MULTILINE))


def test_the_tree_names_every_folder_and_every_room():
    tracked = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout.splitlines()
    tree = README[README.index("## The tree") :]
    folders = {f"{name.split('/')[0]}/" for name in tracked if "/" in name and not name.startswith(".")}
    assert folders <= set(re.findall(r"(\w+/) ", tree))
    rooms = {name.split("/")[1] for name in tracked if re.match(r"arrange/\w+/", name)}
    assert rooms <= set(re.findall(r"\w+", tree.partition("the library: ")[2].partition("\n")[0]))


def test_it_is_short():
    assert README.count("\n") <= 130


def test_the_examples_of_the_library_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for example in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
        exec(example, names)
    assert names["trie"].walk(b"dogf") > 0
    [found] = names["ranker"].rank(["a dog"], k=2)
    assert {one.doc_id for one in found} <= {"dog", "dogfish", "cat"}
