"""Searches on the terminal: real ones on a cheap objective, at work and done."""

import subprocess
import sys
from io import StringIO

import polars as pl
import pytest
import yaml
from activations.search.target import SEEDED, run
from activations.small import search as settings
from rich.console import Console

from arrange.activations.mutators.expression import expression_mutators
from arrange.activations.search import export
from arrange.activations.search.candidates import Unusable
from arrange.errors import UserError
from flows import watch
from flows.watch import Watched, look

BUDGET = 1200
ENTRIES = {"evolution-1": {"arm": "evolution", "seed": 3}, "random-1": {"arm": "random", "seed": 3}}
NASTY = "line 1: a call of `[red]\x1b[2J\x07`"


def database(root, name):
    return root / "state" / f"search@{name}" / "unfinished" / "0123" / "search.db"


def unusable(parents, rng, slot):
    raise Unusable(NASTY)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The folder of a run: evolution is at work, its control is done."""
    root = tmp_path_factory.mktemp("run")
    (root / "params.yaml").write_text(yaml.safe_dump({"searches": ENTRIES, "search": {"budget": BUDGET}}))
    database(root, "evolution-1").parent.mkdir(parents=True)
    mutators = {"nasty": unusable, **expression_mutators()}
    run(database(root, "evolution-1"), settings(candidates=55, budget=BUDGET), mutators)
    control = {"random": expression_mutators()["random"]}
    run(root / "control.db", settings(candidates=40, budget=BUDGET, arm="random"), control)
    (root / "activations" / "searches").mkdir(parents=True)
    export.write(root / "control.db", root / "activations" / "searches" / "random-1")
    return root


@pytest.fixture(scope="module")
def searches(project):
    return look(project)


def printed(renderable, width=120):
    out = StringIO()
    Console(file=out, width=width, force_terminal=False).print(renderable)
    return out.getvalue()


def test_a_search_at_work_and_one_that_is_done_are_read_alike(project, searches):
    evolution, control = searches
    assert [(each.name, each.arm, each.budget) for each in searches] == [
        ("evolution-1", "evolution", BUDGET),
        ("random-1", "random", BUDGET),
    ]
    assert evolution.tables["candidates"].equals(export.tables(database(project, "evolution-1"))["candidates"])
    for name, table in export.tables(project / "control.db").items():
        if name in ("candidates", "joins", "generations"):
            assert control.tables[name].equals(table)


def test_the_controls_gain_is_that_at_equal_cost(searches):
    evolution, control = searches
    found = watch.beside(evolution, control)
    steps = control.tables["generations"].select("member_steps", "gain").rows()
    expected = [next((gain for cost, gain in reversed(steps) if cost <= mine), None) for mine in found["member_steps"]]
    assert found["control"].to_list() == expected
    assert len({*expected}) > 1
    best = evolution.tables["candidates"].filter(pl.col("generation") == 2)["confirmed"].max()
    assert found.filter(generation=2)["best_of_generation"].item() == best
    assert watch.beside(evolution, None)["control"].null_count() == found.height


def test_the_page_shows_generations_lineage_and_refusals(searches):
    said = printed(watch.page(searches)).splitlines()
    evolution = searches[0]
    last = evolution.tables["generations"].row(-1, named=True)
    share = f"{100 * last['member_steps'] / BUDGET:.0f}%"
    assert said[0] == f"evolution-1: generation {last['generation']}, 55 candidates, {share} of the budget"
    row = watch.beside(evolution, searches[1]).row(-1, named=True)
    cells = [f"{row[name]:+.3f}" for name in ("gain", "control", "best_of_generation", "median")]
    assert said[said.index("where the best came from") - 1].split() == [
        *(str(last["generation"]), f"{last['member_steps']:,}", str(last["members"])),
        *cells,
    ]
    family = said[said.index("where the best came from") + 1 : said.index("refused last")]
    ids = [int(line.split()[0]) for line in family]
    assert ids == export.ancestors(evolution.tables["candidates"], last["best"])["id"].to_list()[-watch.ANCESTORS :]
    assert f"{last['confirmed']:+.3f}" in family[-1]
    bad = evolution.tables["candidates"].filter(~pl.col("reason").is_in(["", "screened"]))
    shown = [int(line.split()[0]) for line in said[said.index("refused last") + 1 :] if line]
    assert shown == bad["id"].to_list()[::-1][: watch.REFUSED]


def test_what_a_program_says_is_shown_and_not_obeyed(searches):
    said = printed(watch.page(searches), width=200)
    assert "unusable: line 1: a call of `[red]?[2J?`" in said
    assert "\x1b" not in said
    assert max(map(len, printed(watch.page(searches), width=60).splitlines())) <= 60


def test_names_choose_searches(searches):
    assert printed(watch.page(searches, ["random-1"])).startswith("random-1: generation")
    assert printed(watch.page(searches[1:])).startswith("random-1: generation")  # the control is all there is yet
    assert printed(watch.page([])) == "no generation yet\n"
    with pytest.raises(UserError, match="no search 'x' has a generation here\nthose that have: evolution-1, random-1"):
        watch.page(searches, ["x"])


def test_a_database_is_read_again_when_a_generation_was_written(project, tmp_path):
    root = tmp_path / "run"
    (root / "activations").mkdir(parents=True)
    (root / "params.yaml").write_text((project / "params.yaml").read_text())
    assert look(root) == []
    path = database(root, "evolution-1")
    path.parent.mkdir(parents=True)
    path.touch()  # just made
    assert look(root) == []
    run(path, settings(candidates=len(SEEDED)), expression_mutators())
    (first,) = look(root)
    assert look(root)[0].tables is first.tables  # nothing new
    path.unlink()
    run(path, settings(candidates=len(SEEDED) + 8), expression_mutators())
    assert look(root)[0].tables["candidates"].height > first.tables["candidates"].height
    assert isinstance(first, Watched)


def test_the_run_that_was_at_work_last_is_found(tmp_path):
    with pytest.raises(UserError, match="has no search, at work or done\nstart some: make activations"):
        watch.newest(tmp_path)
    path = database(tmp_path / ".workspaces" / "abc", "evolution-1")
    path.parent.mkdir(parents=True)
    path.touch()
    assert watch.newest(tmp_path) == tmp_path / ".workspaces" / "abc"


def test_the_command_prints_once_where_there_is_no_terminal(project, searches):
    words = [sys.executable, "-m", "flows.watch", "--folder", str(project)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == printed(watch.page(searches), width=80)
    done = subprocess.run([*words, "nothing"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("no search 'nothing' has a generation here\n")
