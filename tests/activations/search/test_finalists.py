"""The finalists of each search on fresh problems, the portfolios that grow from them, and their files."""

from math import exp

import polars as pl
import pytest
from activations.small import fitness, llm, sandbox, search

from arrange import activations
from arrange.activations import portfolio
from arrange.activations.classical import CLASSICAL
from arrange.activations.evaluation import REFERENCE, Evaluation, Measurement
from arrange.activations.mined import MINED
from arrange.activations.search.candidates import SEED
from arrange.activations.search.evolve import KNOWN, SEEDS
from arrange.activations.search.export import CANDIDATES, JOINS, tables
from arrange.activations.search.finalists import (
    CHOSEN,
    FINALISTS,
    best_of_searches,
    choose_portfolios,
    portfolios,
    sources_of,
    sources_of_groups,
    write_finalists,
)
from arrange.activations.search.run import run_search
from arrange.errors import UserError


def program(expression):
    return f"def activation(x):\n    return {expression}\n"


BENT, WAVY, POOR = program("F.relu(x) + torch.sin(x)"), program("torch.sin(x) + x"), program("torch.cos(x)")


def finalist(search, id, source, mutator="subtree"):
    name = "sin" if mutator == SEED else f"{search}-{id}"
    row = {"name": name, "search": search, "id": id, "source": source, "mutator": mutator}
    return row | {"pointwise": True, "flops": 1.0, "gain": 1.0, "confirmed": 0.1}


FOUR = pl.DataFrame(
    [
        finalist("one", 20, POOR),
        finalist("one", 4, SEEDS["sin"], SEED),
        finalist("two", 20, WAVY),
        finalist("two", 21, BENT),
        finalist("two", 4, SEEDS["sin"], SEED),
    ],
    FINALISTS,
)
MEASURED = {  # validation error and log error by problem
    REFERENCE: ((8, 0.0), (8, 0.0)),
    POOR: ((7, 0.5), (9, 0.0)),
    SEEDS["sin"]: ((9, 0.0), (7, -0.4)),
    WAVY: ((5, -0.8), (6, -0.2)),
    BENT: ((6, -0.6), (9, 0.0)),
}


def by_name(sources, name):
    assert name == "validate"
    gelu = {"": measured(MEASURED[REFERENCE])}
    found = [measured(MEASURED[source]) for source in sources]
    return [Evaluation(portfolio.gain(gelu, each), "", "", 10, None, each) for each in found]


def measured(cells):
    return tuple(
        Measurement("validate", f"p {n}", "p", 0, 0.1, 0.0, valid, exp(log)) for n, (valid, log) in enumerate(cells)
    )


def test_each_search_has_the_portfolio_that_grows_from_its_finalists():
    """Two: wavy gains (0.8 + 0.2) / 2, and then nobody is picked any more. One: sine gains 0.4 / 2, poor loses."""
    steps = []
    table = choose_portfolios(FOUR, by_name, 3, steps.append)
    assert table.select("name", "search", "place").rows() == [
        ("two-20", "two", 1),
        ("two-21", "two", None),
        ("sin", "two", None),
        ("sin", "one", 1),
        ("one-20", "one", None),
    ]
    assert table["added"].drop_nulls().to_list() == pytest.approx([0.5, 0.2])
    assert table["validated"].to_list() == pytest.approx([0.5, 0.3, 0.2, 0.2, -0.25])
    assert steps == [1, 2, 3, 4, 5]  # GELU and four programs, each once
    assert portfolios(table) == {
        "two": {"gelu": REFERENCE, "two-20": WAVY},
        "one": {"gelu": REFERENCE, "sin": SEEDS["sin"]},
    }


def test_without_finalists_the_table_has_its_columns_and_the_portfolio_is_gelu(tmp_path):
    table = choose_portfolios(best_of_searches({}, 3), by_name, 4)
    assert table.schema == CHOSEN
    assert table.is_empty()
    write_finalists(table, tmp_path / "found")
    assert list(portfolio.load(tmp_path / "found" / "portfolio")) == ["gelu"]


def test_finalists_and_the_best_portfolio_are_written_as_modules(tmp_path):
    table = choose_portfolios(FOUR, by_name, 3)
    write_finalists(table, tmp_path / "found")
    assert pl.read_parquet(tmp_path / "found" / "finalists.parquet").equals(table)
    names = sorted(path.stem for path in (tmp_path / "found").glob("*.py"))
    assert names == ["best", "one-20", "sin", "two-20", "two-21"]
    best = (tmp_path / "found" / "best.py").read_text()
    assert best == (tmp_path / "found" / "two-20.py").read_text()
    assert best.startswith("# name: two-20\n# search: two\n# mutator: subtree\n# flops: 1.0\n")
    assert "# batch statistics: no\n" in best
    assert activations.load(tmp_path / "found" / "best.py")
    assert list(portfolio.load(tmp_path / "found" / "portfolio")) == ["gelu", "two-20"]


def test_members_take_part_and_groups_as_they_are_asked_for():
    table = choose_portfolios(FOUR, by_name, 3)
    assert sources_of_groups(["found"], table) == {"two-20": WAVY, "sin": SEEDS["sin"]}
    assert sources_of_groups(["found"], table.clear()) == {}
    assert list(sources_of_groups(["mined", "found"], table)) == [*MINED, "two-20", "sin"]
    assert list(sources_of_groups(["classical"], table)) == list(CLASSICAL)
    assert sources_of_groups([], table) == {}


def test_known_functions_by_name_and_an_unknown_name():
    assert sources_of(["tanh", "gelu_half"]) == {"tanh": KNOWN["tanh"], "gelu_half": SEEDS["gelu_half"]}
    with pytest.raises(UserError, match=r"transfer\.known: there is no function 'tan'\ntake some of "):
        sources_of(["tan"])
    with pytest.raises(UserError, match=r"swap\.known: there is no function 'tan'\n"):
        sources_of(["tan"], "swap.known")


def test_a_seed_keeps_its_name_among_the_finalists():
    rows = [(1, SEEDS["sin"], SEED), (2, WAVY, "subtree")]
    candidates = pl.DataFrame(rows, ["id", "source", "mutator"], orient="row").with_columns(
        pl.lit(None, CANDIDATES[name]).alias(name) for name in ("pointwise", "flops", "gain", "fitness", "confirmed")
    )
    joins = pl.DataFrame([(0, 1, 1, 0.3, 9, 1), (0, 2, 1, 0.2, 9, 0)], JOINS, orient="row")
    table = best_of_searches({"s": {"candidates": candidates, "joins": joins}}, 2)
    assert table.select("name", "search", "id").rows() == [("sin", "s", 1), ("s-2", "s", 2)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the sandbox has no filter")
def test_a_search_from_its_settings_has_finalists(tmp_path):
    lines = []
    entry, size = search(candidates=30)
    run_search(tmp_path / "one.db", entry, size, fitness(), sandbox(), llm(), lambda *line: lines.append(line))
    found = tables(tmp_path / "one.db")
    assert [count for count, _ in lines] == [6, 14, 22, 30]
    assert lines[0][1].startswith("generation 0, 1 in the portfolio (gain 0.000), best ")
    assert len(best_of_searches({"s": found}, 2)) <= 2
