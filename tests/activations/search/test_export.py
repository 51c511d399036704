"""The tables of a search, its finalists and ancestors."""

import polars as pl
import pytest
from activations.search.target import SEEDED, judged, run
from activations.small import search as settings

from arrange.activations.evaluation import Measurement
from arrange.activations.mutators.expression import expression_mutators
from arrange.activations.search.candidates import Slot
from arrange.activations.search.database import opened
from arrange.activations.search.export import CALLS, CANDIDATES, JOINS, ancestors, contenders, tables, write


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    path = tmp_path_factory.mktemp("search") / "one.db"
    run(path, settings(candidates=55, budget=1200), expression_mutators())
    return tables(path)


def test_every_candidate_is_there_with_what_it_was_told(found):
    candidates = found["candidates"]
    assert candidates["id"].to_list() == list(range(1, 56))
    assert candidates["source"].to_list()[: len(SEEDED)] == list(SEEDED)
    assert candidates["side"].to_list() == [generation % 2 for generation in candidates["generation"]]
    alone = candidates.filter(pl.col("generation") < found["joins"]["generation"].min())  # the portfolio is GELU
    for row in alone.iter_rows(named=True):
        told = judged(row["source"], "admit", None)
        if row["reason"] not in ("known", "duplicate", *[told.reason] * bool(told.reason)):
            searched = judged(row["source"], "search", row["side"])
            assert (row["fitness"], tuple(row["curve"])) == (searched.fitness, searched.admitted.curve)
        if row["confirmed"] is not None:
            assert row["confirmed"] == judged(row["source"], "confirm", 1 - row["side"]).fitness
    assert alone["confirmed"].is_not_null().sum() > 4


def test_every_single_measurement_is_there_once(found):
    expected = []
    for row in found["candidates"].iter_rows(named=True):
        sets = ["search"] * (row["fitness"] is not None) + ["confirm"] * (row["confirmed"] is not None)
        for name in sets:
            side = row["side"] if name == "search" else 1 - row["side"]
            expected += [(row["id"], name, one) for one in judged(row["source"], name, side).measurements]
    rows = found["measurements"].iter_rows()
    assert [(id, name, Measurement(*rest)) for id, name, *rest in rows] == expected


def test_generations_say_how_the_search_stood(found):
    last, joins = found["generations"].row(-1, named=True), found["joins"]
    candidates = found["candidates"]
    assert last["candidates"] == candidates.filter(attempt=0).height
    assert last["member_steps"] == candidates["member_steps"].sum() + joins["member_steps"].sum()
    assert last["confirmed"] == candidates["confirmed"].max()
    assert candidates.filter(id=last["best"])["confirmed"].item() == last["confirmed"]
    assert last["members"] == 1 + joins["joined"].sum() > 1
    assert last["gain"] == pytest.approx(joins.filter(joined=1)["gain"].sum())


def rows(*told):
    schema = {name: CANDIDATES[name] for name in ("id", "mutator", "canonical", "confirmed", "parents")}
    return pl.DataFrame(told, schema, orient="row")


def test_finalists_are_those_that_joined_and_then_those_that_came_near():
    table = rows(*((id, "subtree", "", 0.1, []) for id in range(1, 8)))
    tried = [(0, 5, 1, 0.3, 9, 0), (0, 6, 1, 0.5, 9, 1), (1, 2, 2, 0.4, 9, 0), (1, 3, 2, None, 9, 0)]
    joins = pl.DataFrame(
        [*tried, (1, 7, 2, 0.1, 9, 0), (2, 2, 3, 0.2, 9, 1), (2, 5, 3, 0.1, 9, 0)], JOINS, orient="row"
    )
    assert contenders(table, joins, 9)["id"].to_list() == [6, 2, 5, 7]
    assert contenders(table, joins, 1)["id"].to_list() == [6]
    assert contenders(table, joins.clear(), 3).is_empty()


def test_calls_are_in_the_order_of_the_questions(tmp_path):
    with opened(tmp_path / "one.db", *settings()) as database:
        for slot, answer in ((Slot(2, 0, 0), "d"), (Slot(1, 3, 1), "c"), (Slot(1, 7, 0), "b"), (Slot(1, 3, 0), "a")):
            database.llm_cache.record(slot, "?", answer, 5, 3, 0.25, "")
        database.llm_cache.record(Slot(2, 1, 0), "?", "", 5, 0, 0.5, "status 500")
    calls = tables(tmp_path / "one.db")["calls"]
    assert calls["answer"].to_list() == ["a", "b", "c", "d", ""]
    assert calls.row(-1) == (2, 1, 0, "?", "", 5, 0, 0.5, "status 500")


def test_a_search_without_a_language_model_has_the_same_columns(found):
    assert (found["calls"].height, found["calls"].schema) == (0, pl.Schema(CALLS))


def test_ancestors_are_all_of_them_and_no_others():
    table = rows(*((id, "", "", 0.0, parents) for id, parents in [(1, []), (2, []), (3, [1]), (4, [2]), (5, [3, 1])]))
    assert ancestors(table, 5)["id"].to_list() == [1, 3, 5]
    assert ancestors(table, 2)["id"].to_list() == [2]


def test_what_is_written_is_what_is_read(tmp_path):
    run(tmp_path / "one.db", settings(candidates=14), expression_mutators())
    write(tmp_path / "one.db", tmp_path / "tables")
    for name, table in tables(tmp_path / "one.db").items():
        read = pl.read_csv if name == "generations" else pl.read_parquet
        assert read(next((tmp_path / "tables").glob(f"{name}.*"))).equals(table)
