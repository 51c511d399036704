"""The best of each search on fresh problems, as files, and as those that take part in a comparison."""

import polars as pl
import pytest
from activations.small import fitness, llm, sandbox, search

from arrange import activations
from arrange.activations.classical import CLASSICAL
from arrange.activations.evaluation import Evaluation
from arrange.activations.mined import MINED
from arrange.activations.programs.files import source_of
from arrange.activations.search.export import tables
from arrange.activations.search.finalists import (
    FINALISTS,
    best_of_searches,
    sources_of_groups,
    validate_finalists,
    write_finalists,
)
from arrange.activations.search.run import run_search

TABLE = pl.DataFrame({"name": list("abcde"), "source": list("ABCDE"), "winner": [True, False, False, True, False]})


def finalist(search, id, name):
    row = {"name": f"{search}-{id}", "search": search, "id": id, "source": source_of(CLASSICAL[name])}
    return row | {"mutator": "subtree", "pointwise": True, "flops": 1.0, "gain": 1.0, "confirmed": 0.1}


FOUR = pl.DataFrame(
    [finalist("one", 20, "sin"), finalist("one", 30, "tanh"), finalist("two", 20, "silu"), finalist("two", 21, "relu")],
    FINALISTS,
)


def by_name(sources, name):
    assert name == "validate"
    scores = {FOUR["source"][0]: 0.1, FOUR["source"][1]: 0.3, FOUR["source"][2]: -0.2, FOUR["source"][3]: None}
    return [Evaluation(scores[source], "", "", 10) for source in sources]


def test_the_best_on_fresh_problems_is_first_and_the_first_of_each_search_has_won():
    steps = []
    table = validate_finalists(FOUR, by_name, steps.append)
    assert table.select("name", "validated", "winner").rows() == [
        ("one-30", 0.3, True),
        ("one-20", 0.1, False),
        ("two-20", -0.2, True),
    ]
    assert steps == [1, 2, 3, 4]


def test_without_finalists_the_table_has_its_columns():
    table = validate_finalists(best_of_searches({}, 3), by_name)
    assert table.schema == {**FINALISTS, "winner": pl.Boolean}
    assert table.is_empty()


def test_finalists_are_written_as_modules(tmp_path):
    table = validate_finalists(FOUR, by_name)
    write_finalists(table, tmp_path / "found")
    assert pl.read_parquet(tmp_path / "found" / "finalists.parquet").equals(table)
    names = sorted(path.stem for path in (tmp_path / "found").glob("*.py"))
    assert names == ["best", "one-20", "one-30", "two-20"]
    best = (tmp_path / "found" / "best.py").read_text()
    assert best == (tmp_path / "found" / "one-30.py").read_text()
    assert best.startswith("# name: one-30\n# search: one\n# mutator: subtree\n# flops: 1.0\n")
    assert "# batch statistics: no\n" in best
    assert activations.load(tmp_path / "found" / "best.py")


def test_the_count_best_and_each_winner_take_part():
    assert sources_of_groups(["found"], TABLE, 2) == {"a": "A", "b": "B", "d": "D"}
    assert sources_of_groups(["found"], TABLE, 0) == {"a": "A", "d": "D"}
    assert list(sources_of_groups(["found"], TABLE, 9)) == list("abcde")
    assert sources_of_groups(["found"], TABLE.clear(), 2) == {}


def test_groups_take_part_as_they_are_asked_for():
    assert list(sources_of_groups(["mined", "found"], TABLE, 1)) == [*MINED, "a", "d"]
    assert list(sources_of_groups(["classical"], TABLE, 1)) == list(CLASSICAL)
    assert sources_of_groups([], TABLE, 1) == {}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the sandbox has no filter")
def test_a_search_from_its_settings_has_finalists(tmp_path):
    lines = []
    entry, size = search(candidates=30)
    run_search(
        tmp_path / "one.db", entry, size, fitness(screen=-2.0), sandbox(), llm(), lambda *line: lines.append(line)
    )
    candidates = tables(tmp_path / "one.db")["candidates"]
    assert [count for count, _ in lines] == [13, 21, 29, 30]
    assert lines[0][1].startswith("generation 0, best ")
    table = best_of_searches({"s": candidates}, 2)
    assert len(table) <= 2
    assert all(table["name"] == [f"s-{id}" for id in table["id"]])
