"""The report's first lines and what they say of the data."""

from dataclasses import replace

import polars as pl
import pytest
from small_results import RANKERS, measured, write_results

from arrange.data.coverage import Coverage
from arrange.report.answer import answer, data_lines
from arrange.report.results import read_results

WAYS = {"a ranker": ["ntp", "item"], "fused": ["bm25_ntp", "bm25_item"], "reranking": []}


@pytest.fixture
def results(tmp_path):
    write_results("wordnet", tmp_path / "wordnet")
    return read_results(tmp_path / "wordnet", [name for name in RANKERS if name.startswith("wordnet")])


def against(results, **differences):
    """The results with these differences from BM25: system -> difference, low, high."""
    rows = [
        {"system": system, "measure": measure, "difference": mean, "low": low, "high": high, "p": 0.01, "p_holm": 0.02}
        for system, (mean, low, high) in differences.items()
        for measure in ("R@10", "nDCG@10")
    ]
    metrics = results.metrics | {system: {"nDCG@10": measured(0.5)} for system in differences}
    return replace(results, against_bm25=pl.DataFrame(rows), metrics=metrics)


def test_the_best_of_each_way_stands_beside_bm25(results):
    text = answer(
        against(
            results,
            ntp=(-0.4, -0.5, -0.3),
            item=(-0.2, -0.3, -0.1),
            bm25_ntp=(0.02, 0.01, 0.03),
            bm25_item=(0.01, -0.01, 0.03),
        ),
        WAYS,
    )
    assert "**Yes: bm25_ntp is better on wordnet than BM25, by 0.020 (0.010 to 0.030) nDCG@10.**" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")][1:]
    assert [row.split("`")[1] for row in rows] == ["item", "bm25_ntp", "bm25"]
    assert rows[0].endswith("| -0.200 (-0.300 to -0.100), p 0.020 |")


def test_what_a_first_stage_has_without_a_ranker_is_told(results):
    gains = against(results, item=(0.3, 0.2, 0.4), first_stage=(0.28, 0.2, 0.36), worse=(0.1, 0.0, 0.2))
    text = answer(gains, WAYS, ["worse", "first_stage"])
    assert "(0.200 to 0.400) nDCG@10. Without a ranker first_stage has 0.500.**" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")][1:]
    assert [row.split("`")[1] for row in rows] == ["item", "first_stage", "bm25"]
    assert answer(gains, {"a ranker": []}, ["first_stage"]) == ""  # there is no ranker to ask about


def test_where_bm25_is_better_or_nothing_is_shown_that_is_said(results):
    worse = answer(against(results, ntp=(-0.4, -0.5, -0.3), item=(-0.2, -0.3, -0.1)), WAYS)
    assert "**No: BM25 is better on wordnet, by 0.200 (0.100 to 0.300) nDCG@10 than the best of them, item.**" in worse
    even = answer(against(results, ntp=(0.1, -0.1, 0.3)), WAYS)
    assert "**Not shown: on wordnet the best of them, ntp, differs by +0.100 (-0.100 to +0.300) nDCG@10" in even


def test_without_bm25_or_rankers_there_is_no_answer(results):
    assert answer(replace(results, metrics={"item": results.metrics["item"]}), WAYS) == ""
    assert answer(results, {"a ranker": []}) == ""


def test_the_data_say_what_they_can_teach_and_what_was_left_out(results):
    few = Coverage({"train": 900, "validation": 1, "test": 60}, 7, named=1.0, unseen=0.41, split="test")
    left_out = {
        "documents without text": {"rows": 5, "first": ["a", "b", "c"]},
        "queries without a ranked document": {"rows": 0, "first": []},
    }
    text = data_lines(replace(results, coverage=few, about=replace(results.about, left_out=left_out)))
    first, _, *rest = text.splitlines()
    assert first == (
        "Queries: 900 train, 1 validation, 60 test; 7 documents, of which training queries name 100%. "
        "41% of the true documents of test queries are true for no training query."
    )
    assert [line[:40] for line in rest] == [
        "- **Few data:** only 1 validation querie",
        "- **Few data:** 41% of the test queries'",
        "- Left out: documents without text: 5 (`",
    ]
    assert rest[-1].endswith("(`a`, `b`, `c`, ..).")
    assert len(data_lines(results).splitlines()) == 1
