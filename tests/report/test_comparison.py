"""The table of compared losses, with exact numbers."""

import json

import polars as pl
import pytest

from arrange.evaluation.statistics import differences
from arrange.formats import interval, p_value
from arrange.report.comparison import beam_recall, comparison, docids_table

QUERIES = [f"q{number}" for number in range(6)]
CLUSTERS = pl.DataFrame({"query_id": QUERIES, "cluster": list("aabbcc")})
RESAMPLED = {"draws": 500, "seed": 1}


def run(system, seed, values):
    columns = {"system": system, "seed": seed, "query_id": QUERIES, "nDCG@10": values, "overlap@3": [0.5] * 6}
    return pl.DataFrame(columns).with_columns(AP=pl.lit(1.0))


BASE = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
PER_QUERY = pl.concat(
    [
        run("item", 1, BASE),
        run("item", 2, BASE),
        run("better", 1, [value + 0.3 for value in BASE]),
        run("better", 2, [value + 0.1 for value in BASE]),
        run("neighbours", 0, [0.4] * 6),
        run("random", 0, [0.9] * 6),
    ]
)


@pytest.fixture
def rows():
    seconds = {"item": [60.0, 70.0], "better": []}
    found = comparison(PER_QUERY, CLUSTERS, ["item", "better"], ["item", "neighbours"], seconds, **RESAMPLED)
    return {row[""]: row for row in found}


def test_a_row_for_each_loss_then_the_vote_and_no_other_system(rows):
    assert list(rows) == ["item", "better", "neighbours"]
    assert [row["seeds"] for row in rows.values()] == ["2", "2", "-"]
    assert [row["CPU s each"] for row in rows.values()] == ["65", "-", "-"]
    assert {tuple(row) for row in rows.values()} == {tuple(rows["item"])}


def test_means_are_over_seeds_and_differences_are_paired(rows):
    """Paired by query, `better` is always 0.2 above after the mean over its seeds, whose means are 0.2 apart."""
    assert rows["better"]["nDCG@10"].startswith("0.550 (")
    assert rows["better"]["nDCG@10"].endswith(") ±0.141")  # of 0.65 and 0.45
    assert rows["neighbours"]["nDCG@10"] == "0.400 (0.400-0.400)"
    assert rows["better"]["nDCG@10 - item"].startswith("+0.200 (+0.200 to +0.200), p ")
    assert rows["better"]["overlap@3 - item"] == "+0.000 (+0.000 to +0.000), p 1.000"
    assert rows["better"]["nDCG@10 - neighbours"].startswith("+0.150 (")
    assert (rows["item"]["nDCG@10 - item"], rows["neighbours"]["nDCG@10 - neighbours"]) == ("-", "-")
    assert rows["neighbours"]["nDCG@10 - item"] == "-"


def test_holm_adjusts_over_the_losses_alone(rows):
    """Against the vote two losses are tested, whatever else is in the table."""
    losses = PER_QUERY.filter(pl.col("system") != "random").drop("AP")
    found = differences(losses, "neighbours", CLUSTERS, **RESAMPLED).filter(measure="nDCG@10")
    assert found["system"].to_list() == ["item", "better"]
    for row in found.rows(named=True):
        text = f"{interval(row['difference'], row['low'], row['high'])}, p {p_value(row['p_holm'])}"
        assert rows[row["system"]]["nDCG@10 - neighbours"] == text
    (one,) = differences(losses.filter(pl.col("system") != "neighbours"), "item", CLUSTERS, **RESAMPLED)["p"][:1]
    assert rows["better"]["nDCG@10 - item"].endswith(f"p {p_value(one)}")  # one test needs no adjustment


def test_beam_recall_is_the_mean_of_what_was_diagnosed(tmp_path):
    notes = {"a": {"beam_recall": 0.5}, "b": {"beam_recall": 1.0}, "c": {}, "d": {"beam_recall": None}}
    for name, found in notes.items():
        (tmp_path / f"{name}.diagnostics.json").write_text(json.dumps(found))
    assert beam_recall(tmp_path, ["a", "b", "c"]) == 0.75
    assert beam_recall(tmp_path, ["c", "d"]) is None  # rank.diagnosed is 0


def test_docids_that_were_not_diagnosed_have_a_dash():
    statistics = dict.fromkeys(("mean_depth", "max_depth", "nodes", "collisions", "bytes_per_docid"), 2.0)
    seen = pl.DataFrame(schema={"system": pl.String, "group": pl.String, "queries": pl.Int64, "nDCG@10": pl.Float64})
    rows = docids_table({"a": statistics, "b": statistics}, {"a": [], "b": []}, {"a": None, "b": 0.5}, seen)
    assert [row["beam recall"] for row in rows] == ["-", "0.500"]
