"""The tables of a search, its distinct functions, finalists and ancestors."""

import polars as pl
import pytest
from activations.search.target import KNOWN, judged, run
from activations.small import search as settings

from arrange.activations.evaluation import Measurement
from arrange.activations.mutators.expression import expression_mutators
from arrange.activations.search.candidates import Slot
from arrange.activations.search.database import opened
from arrange.activations.search.export import CALLS, CANDIDATES, ancestors, best_confirmed, distinct, tables, write


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    path = tmp_path_factory.mktemp("search") / "one.db"
    run(path, settings(candidates=60), expression_mutators())
    return tables(path)


def test_every_candidate_is_there_with_what_it_was_told(found):
    candidates = found["candidates"]
    assert candidates["id"].to_list() == list(range(1, 61))
    assert candidates["source"].to_list()[:11] == list(KNOWN)
    for row in candidates.iter_rows(named=True):
        searched = judged(row["source"], "search")
        assert (row["fitness"], row["reason"], row["detail"]) == (searched.fitness, searched.reason, searched.detail)
        assert (row["curve"] and tuple(row["curve"])) == (searched.admitted and searched.admitted.curve)
        assert (row["flops"], row["pointwise"]) == (
            (searched.admitted.flops, True) if searched.admitted else (None, None)
        )
        if row["confirmed"] is not None:
            assert row["confirmed"] == judged(row["source"], "confirm").fitness
    assert candidates["confirmed"].is_not_null().sum() > 6


def test_every_single_measurement_is_there_once(found):
    columns = found["candidates"].select("id", "source", "confirmed", pl.col("canonical").is_first_distinct())
    expected = []
    for id, source, confirmed, first in columns.iter_rows():
        for name in ["search"] * first + ["confirm"] * (confirmed is not None):
            expected += [(id, name, measurement) for measurement in judged(source, name).measurements]
    rows = found["measurements"].iter_rows()
    assert [(id, name, Measurement(*rest)) for id, name, *rest in rows] == expected


def test_generations_say_how_the_search_stood(found):
    last = found["generations"].row(-1, named=True)
    candidates = found["candidates"]
    assert found["generations"]["generation"].to_list() == list(range(8))
    assert last["candidates"] == 60
    assert last["member_steps"] == candidates["member_steps"].sum()
    assert last["confirmed"] == candidates["confirmed"].max()
    assert candidates.filter(id=last["best"])["confirmed"].item() == last["confirmed"]
    assert last["median"] == candidates.filter(generation=7)["fitness"].median()


def rows(*told):
    schema = {name: CANDIDATES[name] for name in ("id", "mutator", "canonical", "confirmed", "parents")}
    table = pl.DataFrame(told, schema, orient="row")
    return table.with_columns(pl.lit(None, CANDIDATES[name]).alias(name) for name in ("pointwise", "gain", "curve"))


def test_finalists_are_the_best_confirmed_that_the_search_found_itself():
    table = rows(
        (1, "seed", "a", 9.0, []),
        (2, "subtree", "b", 0.5, []),
        (3, "subtree", "c", None, []),
        (4, "llm_full", "d", 0.5, []),
        (5, "subtree", "b", 0.7, []),
        (6, "subtree", "e", 0.1, []),
        (7, "simplify", "a", 9.0, []),  # a seed's program
    )
    assert best_confirmed(table, 3)["id"].to_list() == [5, 4, 6]
    assert best_confirmed(table, 1)["id"].to_list() == [5]


def test_a_known_function_at_another_scale_is_no_finalist():
    table = rows(
        (1, "seed", "gelu", 0.0, []),
        (2, "subtree", "2 * gelu", 0.1, []),
        (3, "subtree", "f", 0.1, []),
        (4, "subtree", "-f", 0.2, []),
    )
    curves = {"gain": [1.0, 0.5, 1.0, 1.0], "curve": [[1.0, 2.0], [2.0, 4.0], [1.0, 1.5], [-1.0, -1.5]]}
    table = table.with_columns(pl.lit(True).alias("pointwise"), *(pl.Series(*column) for column in curves.items()))
    assert best_confirmed(table, 3)["id"].to_list() == [4]


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


def test_the_first_row_of_each_function_stays():
    table = pl.DataFrame(
        {
            "id": [1, 2, 3, 4, 5],
            "canonical": ["a", "2a", "b", "c", "b"],
            "pointwise": [True, True, None, False, None],
            "gain": [1.0, 0.5, None, 1.0, None],
            "curve": [[1.0, 3.0], [2.0, 6.0], None, [1.0, 3.0], None],
        }
    )
    known = pl.DataFrame(
        {"canonical": ["known", "c"], "pointwise": [True, None], "gain": [1.0, None], "curve": [[-1.0, -3.0], None]}
    )
    assert distinct(table)["id"].to_list() == [1, 3, 4]
    assert distinct(table, known)["id"].to_list() == [3]
    assert distinct(table.head(2), table.head(1)).height == 0


def test_what_is_written_is_what_is_read(tmp_path):
    run(tmp_path / "one.db", settings(candidates=14), expression_mutators())
    write(tmp_path / "one.db", tmp_path / "tables")
    for name, table in tables(tmp_path / "one.db").items():
        read = pl.read_csv if name == "generations" else pl.read_parquet
        assert read(next((tmp_path / "tables").glob(f"{name}.*"))).equals(table)
