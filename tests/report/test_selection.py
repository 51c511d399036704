"""The study of selectors as Markdown."""

import polars as pl

from arrange.report.selection import selection

CANDIDATES = pl.DataFrame(
    {"system": ["item", "pl"], "seed": [1, 1], "nll": [10.0, 12.0], "quality": [0.5, 0.6], "score": [0.4, 0.55]}
)
CHECKPOINTS = pl.DataFrame(
    {"system": ["item", "pl"], "seed": [1, 1], "step": [50, 100], "nll": [10.0, 10.04], "quality": [0.3, 0.5]}
)


def test_the_tables_have_each_selector_and_the_pairs():
    text = selection(CANDIDATES, CHECKPOINTS)
    assert "| nll | two losses | 1 | 0.000 | 0.150 | item-1 | 0.400 |" in text
    assert "| nDCG@10 | two losses | 1 | 1.000 | 0.000 | pl-1 | 0.550 |" in text
    assert "| both | one loss | 0 | - | - | item-1 | 0.400 |" in text
    assert "1 pairs. 1 of them differ by 0.05 or more" in text
    assert "| item-1, step 50 | pl-1, step 100 | 10.00 and 10.04 | 0.300 and 0.500 |" in text


def test_no_pair_is_said_in_words():
    assert "No table: there is no such pair." in selection(CANDIDATES, CHECKPOINTS.head(1))
