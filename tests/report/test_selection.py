"""The study of selectors as Markdown and dots."""

import polars as pl
import pytest

from arrange.report.selection import (
    best_checkpoints,
    contenders,
    correlations_rows,
    left_out,
    panels,
    selection,
    selectors_rows,
)

CANDIDATES = pl.DataFrame(
    {"system": ["item", "pl"], "seed": [1, 1], "nll": [10.0, 12.0], "quality": [0.5, 0.6], "score": [0.4, 0.55]}
)
CHECKPOINTS = pl.DataFrame(
    {"system": ["item", "pl"], "seed": [1, 1], "step": [50, 100], "nll": [10.0, 10.04], "quality": [0.3, 0.5]}
)


def test_the_tables_have_each_selector_and_the_pairs(tmp_path):
    text = selection(CANDIDATES, CHECKPOINTS, tmp_path)
    assert "| nll | two losses | 1 | 0.000 | 0.150 | item-1 | 0.400 |" in text
    assert "| nDCG@10 | two losses | 1 | 1.000 | 0.000 | pl-1 | 0.550 |" in text
    assert "| both | one loss | 0 | - | - | item-1 | 0.400 |" in text
    assert "1 pairs. 1 of them differ by 0.05 or more" in text
    assert "| item-1, step 50 | pl-1, step 100 | 10.00 and 10.04 | 0.300 and 0.500 |" in text
    assert "In 0 of 2 trainings" in text
    assert "](selection.png)" in text
    assert (tmp_path / "selection.png").exists()


def test_what_is_not_there_is_said_in_words(tmp_path):
    assert "No table: there is no such pair." in selection(CANDIDATES, CHECKPOINTS.head(1), tmp_path)
    assert "give up - of it" in selection(CANDIDATES, CHECKPOINTS.clear(), tmp_path)


def test_correlations_by_hand_with_ties_and_nulls():
    """Ranks of item: 1, 2.5, 2.5, 4 and 4, 3, 1.5, 1.5; the products of what they are off 2.5 sum to -3.75, of 4.5."""
    rows = [("item", 1, step, *pair) for step, pair in enumerate([(5.0, 0.4), (6.0, 0.3), (6.0, 0.1), (7.0, 0.1)])]
    rows += [("item", 2, 1, None, 0.9), ("item", 2, 2, 4.0, None), ("pl", 1, 1, 8.0, 0.5), ("pl", 1, 2, 9.0, 0.6)]
    checkpoints = pl.DataFrame(rows, CHECKPOINTS.schema, orient="row")
    kept = [("item", 1, 5.0, 0.4, 0.1), ("item", 2, 6.0, 0.5, 0.1), ("pl", 1, 7.0, 0.7, 0.3), ("pl", 2, 8.0, 0.6, None)]
    assert correlations_rows(pl.DataFrame(kept, CANDIDATES.schema, orient="row"), checkpoints) == [
        ["checkpoints of item", "4", "-0.83", "-", "-"],
        ["checkpoints of pl", "2", "-", "-", "-"],  # two are too few
        [
            "checkpoints of all",
            "6",
            "+0.51",
            "-",
            "-",
        ],  # ranks 1, 2.5, 2.5, 4, 5, 6 and 4, 3, 1.5, 1.5, 5, 6: 8.75 of 17
        ["kept checkpoints", "4", "+0.80", "+0.87", "+0.87"],  # with a score three: 1, 2, 3 and 1.5, 1.5, 3
        ["kept ones of contenders", "4", "+0.80", "+0.87", "+0.87"],
    ]


def test_what_the_lowest_nll_gives_up_within_a_training():
    rows = [
        ("item", 1, 1, 9.0, 0.3),
        ("item", 1, 2, 8.0, 0.5),
        ("item", 1, 3, 8.5, 0.6),
        ("item", 2, 1, 7.0, 0.4),  # another seed is another training: the best of its own by both
        ("item", 2, 2, None, 0.9),
        ("pl", 1, 1, 6.0, 0.2),
        ("pl", 1, 2, 7.0, 0.2),  # as good, so that nothing is given up
    ]
    found = best_checkpoints(pl.DataFrame(rows, CHECKPOINTS.schema, orient="row"))
    assert found == (3, 1, pytest.approx(0.1 / 3))
    assert best_checkpoints(CHECKPOINTS.clear()) == (0, 0, None)


def test_a_loss_that_reaches_half_of_the_best_is_a_contender():
    """And with all its seeds. The pair of two contenders is the one that nll gets wrong."""
    rows = [
        ("ntp", 1, 20.0, 0.29, 0.3),
        ("pl", 1, 12.0, 0.6, 0.55),
        ("item", 1, 10.0, 0.1, 0.4),
        ("item", 2, 9.0, 0.3, 0.2),
    ]
    candidates = pl.DataFrame(rows, CANDIDATES.schema, orient="row")
    assert contenders(candidates)["system"].to_list() == ["pl", "item", "item"]
    assert left_out(candidates) == "`ntp`"
    assert left_out(CANDIDATES) == "none"
    found = {tuple(row[:2]): row[2:4] for row in selectors_rows(candidates)}
    assert found["nll", "two losses"] == ["5", "0.400"]  # item-1 and pl-1 are both above ntp
    assert found["nll", "two contenders"] == ["2", "0.000"]
    of_all, *_ = panels(candidates, CHECKPOINTS.with_columns(system=pl.Series(["ntp", "pl"])))
    assert of_all.dots["system"].to_list() == ["pl"]
    unvalidated = candidates.with_columns(quality=pl.lit(None, pl.Float64))
    assert contenders(unvalidated).is_empty()


def test_panels_show_checkpoints_and_what_selectors_see_of_the_kept_ones():
    of_all, of_nll, of_quality = panels(CANDIDATES, CHECKPOINTS, "zoo")
    assert of_all.dots.rows() == [("item", 10.0, 0.3), ("pl", 10.04, 0.5)]
    assert of_all.kept is not None
    assert of_all.kept.rows() == [("item", 10.0, 0.5), ("pl", 12.0, 0.6)]
    assert of_nll.dots.rows() == [("item", 10.0, 0.4), ("pl", 12.0, 0.55)]
    assert of_quality.dots.rows() == [("item", 0.5, 0.4), ("pl", 0.6, 0.55)]
    assert {of_all.title, of_nll.title, of_quality.title} == {"zoo"}
