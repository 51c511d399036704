"""Searches on the terminal while they work: a real one on a cheap objective."""

import subprocess
import sys

import polars as pl
import pytest
from activations.search.target import run
from activations.small import search as settings

from arrange.activations.mutators.expression import expression_mutators
from arrange.activations.search import export
from arrange.activations.search.candidates import Unusable
from arrange.errors import UserError
from arrange.report import watch

NASTY = "line 1: a call of `[red]\x1b[2J\x07`"


def database(root, name):
    return root / "state" / f"search@{name}" / "unfinished" / "0123" / "search.db"


def unusable(parents, rng, slot):
    raise Unusable(NASTY)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A checkout in which a search is at work, and in a workspace one that has just begun."""
    root = tmp_path_factory.mktemp("run")
    database(root, "evolution-1").parent.mkdir(parents=True)
    run(database(root, "evolution-1"), settings(candidates=55), {"nasty": unusable, **expression_mutators()})
    begun = database(root / ".workspaces" / "abc", "random-1")
    begun.parent.mkdir(parents=True)
    begun.touch()
    return root


def test_a_search_is_shown_with_generations_lineage_and_refusals(project):
    evolution, begun = watch.databases(project)
    said = "\n".join(watch.about(evolution)).splitlines()
    tables = export.tables(evolution)
    generations, candidates = tables["generations"], tables["candidates"]
    last = generations.row(-1, named=True)
    assert said[0] == f"evolution-1: {len(generations)} generations"
    cells = [cell.strip() for cell in said[said.index("where the best came from:") - 1].strip("|").split("|")]
    assert cells == [watch.number(value) for value in last.values()]
    family = said[said.index("where the best came from:") + 1 : said.index("refused last:")]
    ids = export.ancestors(candidates, last["best"])["id"].to_list()
    assert [int(line.split()[0]) for line in family] == ids[-watch.LAST :]
    assert f"{last['confirmed']:+.3f}" in family[-1]
    bad = candidates.filter(~pl.col("reason").is_in(["", "screened"]))["id"].to_list()
    assert [int(line.split()[0]) for line in said[said.index("refused last:") + 1 :]] == bad[::-1][: watch.LAST]
    assert list(watch.about(begun)) == ["random-1: no generation yet"]


def test_what_a_program_says_is_shown_and_not_obeyed(project):
    said = "\n".join(watch.about(database(project, "evolution-1")))
    assert "nasty: unusable: line 1: a call of `[red]?[2J?`" in said
    assert "\x1b" not in said


def test_the_command_prints_each_search_or_says_that_there_is_none(project, tmp_path):
    words = [sys.executable, "-m", "arrange", "watch", str(project)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("evolution-1: ")
    assert done.stdout.endswith("\n\nrandom-1: no generation yet\n\n")
    with pytest.raises(UserError, match="has no search at work\nstart some: make activations"):
        watch.main([str(tmp_path)])
