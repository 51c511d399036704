"""The sections of the page on activations, from small files: what they say, and why a table is not there."""

import polars as pl
import pytest
from small_results import CANDIDATES, GENERATIONS

from arrange.activations.settings import SearchEntry, Swap
from arrange.activations.transfer.table import COMPARED
from arrange.report import activations_page as page

ENTRIES = {"evolution-1": SearchEntry(arm="evolution", seed=1), "random-1": SearchEntry(arm="random", seed=1)}
SWAP = Swap(of=("found",), found=1, data="zoo", docids="text", loss="item", seed=1, steps=30, rates=(0.001,))
FINALISTS = pl.DataFrame(
    {
        "search": ["evolution-1"],
        "id": [2],
        "name": ["evolution-1-2"],
        "source": ["def activation(x):\n    return torch.tanh(x)\n"],
        **{"flops": [10.0], "fitness": [0.2], "confirmed": [0.1], "validated": [0.0625], "winner": [True]},
    }
)
FOUND = "import torch\nfrom torch import Tensor\n\n\ndef activation(x: Tensor) -> Tensor:\n    return torch.tanh(x)\n"
SWAPPED = pl.DataFrame(
    {
        "system": ["gelu"] * 2 + ["sin"] * 2,
        "query_id": ["a", "b"] * 2,
        "cluster": ["x", "y"] * 2,
        "nDCG@10": [0.5, 0.25, 0.75, 0.5],
    }
)


@pytest.fixture
def made(tmp_path):
    """The outputs of the stages before, of searches that found one function and of no transfer at all."""
    for name in ENTRIES:
        (tmp_path / "searches" / name).mkdir(parents=True)
        ids = CANDIDATES.with_columns(
            pl.int_range(1, pl.len() + 1).alias("id"),
            pl.lit([], pl.List(pl.Int64)).alias("parents"),
            generation=pl.lit(0, pl.Int64),
        )
        ids.write_parquet(tmp_path / "searches" / name / "candidates.parquet")
        GENERATIONS.with_columns(member_steps=pl.Series([10, 20])).write_csv(
            tmp_path / "searches" / name / "generations.csv"
        )
    for folder in ("found", "transfer", "pictures"):
        (tmp_path / folder).mkdir()
    FINALISTS.write_parquet(tmp_path / "found/finalists.parquet")
    (tmp_path / "found/evolution-1-2.py").write_text(FOUND)
    pl.DataFrame(schema=COMPARED).write_parquet(tmp_path / "transfer/by_group.parquet")
    pl.DataFrame(schema={**COMPARED, "rival": pl.String}).write_parquet(tmp_path / "transfer/winners.parquet")
    pl.DataFrame(schema={"problem": pl.String}).write_parquet(tmp_path / "transfer/extrapolation.parquet")
    SWAPPED.write_parquet(tmp_path / "swapped.parquet")
    return tmp_path


def test_the_searches_their_finalists_and_the_winners_ancestors(made):
    text = "\n\n".join(page.searches(made, ENTRIES, made / "pictures"))
    assert "| evolution-1 | 5 | 4 | unusable 1, cost 1 | 1.75 | 1 of 2 | +0.100 |" in text
    assert "| evolution-1-2 (winner) | `torch.tanh(x)` | 10 | +0.200 | +0.100 | +0.062 |" in text
    assert "### The ancestors of `evolution-1-2`" in text
    assert {path.name for path in (made / "pictures").iterdir()} == {"progress.png", "family.png", "functions.png"}


def test_one_seed_of_both_arms_is_not_enough_to_compare_them(made):
    assert page.arms(ENTRIES, FINALISTS)[1] == "No table: it takes two seeds that both arms have, and there are 1."
    two = ENTRIES | {"e": SearchEntry(arm="evolution", seed=2), "r": SearchEntry(arm="random", seed=2)}
    assert "| 2 | +0.000 | +0.000 | +0.000 |" in page.arms(two, FINALISTS)[1]


def test_searches_that_found_nothing_say_so(made):
    FINALISTS.clear().write_parquet(made / "found/finalists.parquet")
    text = "\n\n".join(page.searches(made, ENTRIES, made / "pictures"))
    assert "### Finalists on fresh problems\n\nNo table: no search found a function" in text
    assert [path.name for path in (made / "pictures").iterdir()] == ["progress.png"]


def test_no_transfer_says_so(made):
    text = "\n\n".join(page.transferred(made, made / "pictures"))
    assert "No tables: nothing was transferred (transfer.to)." in text
    assert "No table: no winner of a search was transferred." in text


def test_the_ranker_with_another_activation_stands_against_gelu(made):
    text = "\n\n".join(page.swapped(made, SWAP, draws=50, seed=1))
    assert "The autoregressive ranker on `zoo`, 30 steps from scratch" in text
    assert "| sin | 0.625 (0.500-0.750) |" in text
    assert "| sin | +0.250 (+0.250 to +0.250), p " in text


def test_no_other_ranker_says_so(made):
    SWAPPED.clear().write_parquet(made / "swapped.parquet")
    assert page.swapped(made, SWAP, draws=50, seed=1)[1].startswith("No table: no ranker was trained with another")
