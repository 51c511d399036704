"""The sections of the page on activations, from small files: what they say, and why a table is not there."""

import polars as pl
import pytest
from small_results import CANDIDATES, GENERATIONS

from arrange.activations.settings import SearchEntry, Swap
from arrange.activations.transfer.table import COMPARED
from arrange.report import activations_page as page

ENTRIES = {"evolution-1": SearchEntry(arm="evolution", seed=1), "random-1": SearchEntry(arm="random", seed=1)}
SWAP = Swap(
    of=("found",), data="zoo", docids="text", loss="item", known=(), seeds=(1, 2), steps=30, rates=(0.001, 0.003)
)
FINALISTS = pl.DataFrame(
    {
        "search": ["evolution-1"],
        "id": [2],
        "name": ["evolution-1-2"],
        "source": ["def activation(x):\n    return torch.tanh(x)\n"],
        **{"mutator": ["subtree"], "flops": [10.0], "fitness": [0.2], "confirmed": [0.1], "validated": [0.0625]},
        **{"place": [1], "added": [0.0625]},
    }
)
FOUND = "import torch\nfrom torch import Tensor\n\n\ndef activation(x: Tensor) -> Tensor:\n    return torch.tanh(x)\n"
SWAPPED = pl.DataFrame(
    [
        (system, seed, activation, rate, validation, query, cluster, value)
        for system, seed, activation, rate, validation, values in (
            ("gelu", 1, "gelu", 0.001, 0.5, (0.5, 0.25)),
            ("gelu", 2, "gelu", 0.003, 0.25, (0.25, 0.0)),
            ("sin", 1, "sin", 0.003, 0.25, (0.75, 0.5)),
            ("sin", 2, "sin", 0.003, 0.75, (0.5, 0.5)),
            ("portfolio classical", 1, "gelu", 0.001, 0.5, (0.5, 0.25)),
            ("portfolio classical", 2, "sin", 0.003, 0.75, (0.5, 0.5)),
            ("best of 2 gelu", 1, "gelu", 0.001, 0.5, (0.5, 0.25)),
            ("best of 2 gelu", 2, "gelu", 0.001, 0.5, (0.5, 0.25)),
        )
        for query, cluster, value in zip("ab", "xy", values, strict=True)
    ],
    ["system", "seed", "activation", "rate", "validation", "query_id", "cluster", "nDCG@10"],
    orient="row",
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
        GENERATIONS.write_csv(tmp_path / "searches" / name / "generations.csv")
    for folder in ("found", "transfer", "pictures"):
        (tmp_path / folder).mkdir()
    FINALISTS.write_parquet(tmp_path / "found/finalists.parquet")
    (tmp_path / "found/evolution-1-2.py").write_text(FOUND)
    pl.DataFrame(schema=COMPARED).write_parquet(tmp_path / "transfer/by_group.parquet")
    pl.DataFrame(schema={"problem": pl.String}).write_parquet(tmp_path / "transfer/extrapolation.parquet")
    SWAPPED.write_parquet(tmp_path / "swapped.parquet")
    return tmp_path


def test_the_searches_their_finalists_and_the_ancestors_of_the_first_find(made):
    text = "\n\n".join(page.searches(made, ENTRIES, made / "pictures"))
    assert "| evolution-1 | 5 | 4 | unusable 1, cost 1 | 1.75 | 1 of 2 | 3 (+0.250) |" in text
    assert "| evolution-1-2 | evolution-1 | `torch.tanh(x)` | 10 | +0.200 | +0.100 | +0.062 | 1 (+0.062) |" in text
    assert "### The ancestors of `evolution-1-2`" in text
    assert {path.name for path in (made / "pictures").iterdir()} == {"progress.png", "family.png", "functions.png"}


def test_one_seed_of_both_arms_is_not_enough_to_compare_them(made):
    assert page.arms(ENTRIES, FINALISTS)[1] == "No table: it takes two seeds that both arms have, and there are 1."
    assert page.arms(ENTRIES, FINALISTS)[0] == "### Evolution against random search"
    two = ENTRIES | {"e": SearchEntry(arm="evolution", seed=2), "r": SearchEntry(arm="random", seed=2)}
    assert "| 2 | +0.000 | +0.000 | +0.000 |" in page.arms(two, FINALISTS)[1]


def test_searches_that_found_nothing_say_so(made):
    FINALISTS.clear().write_parquet(made / "found/finalists.parquet")
    text = "\n\n".join(page.searches(made, ENTRIES, made / "pictures"))
    assert "### Finalists on fresh problems\n\nNo table: no search found a function" in text
    assert [path.name for path in (made / "pictures").iterdir()] == ["progress.png"]


def test_finalists_that_the_searches_began_with_have_no_ancestors(made):
    FINALISTS.with_columns(mutator=pl.lit("seed")).write_parquet(made / "found/finalists.parquet")
    text = "\n\n".join(page.searches(made, ENTRIES, made / "pictures"))
    assert "No picture: all finalists are functions that the searches began with." in text


PORTFOLIO, CONTROL = "portfolio evolution-1", "best of 2 gelu"
TABLES = {
    "by_group": pl.DataFrame([("held-out", "sin"), ("held-out", PORTFOLIO)], ["group", "activation"], orient="row"),
    "by_family": pl.DataFrame(
        [("chirp", "sin", -0.5), ("radial", "sin", 0.25)], ["group", "activation", "log_ratio"], orient="row"
    ),
    "portfolios": pl.DataFrame(
        [("held-out", PORTFOLIO, "gelu", -0.3), ("held-out", PORTFOLIO, CONTROL, -0.2)],
        ["group", "activation", "rival", "log_ratio"],
        orient="row",
    ),
    "learned": pl.DataFrame(
        [("held-out", "moa", "gelu", -0.4), ("held-out", "moa", "portfolio classical", 0.1)],
        ["group", "activation", "rival", "log_ratio"],
        orient="row",
    ),
    "picks": pl.DataFrame(
        [("evolution-1", "held-out", "chirp", "gelu", 0.25), ("evolution-1", "held-out", "chirp", "sin", 0.75)],
        ["portfolio", "group", "family", "activation", "share"],
        orient="row",
    ),
    "growth": pl.DataFrame(
        [
            ("evolution-1", "held-out", 1, 0.0),
            ("evolution-1", "held-out", 2, -0.3),
            ("gelu seeds", "held-out", 2, -0.1),
        ],
        ["portfolio", "group", "size", "log_ratio"],
        orient="row",
    ),
}


ERRORS = ("error", "reference_error")


def test_portfolios_stand_first_with_their_rivals_their_growth_and_the_map_of_families(made):
    shared = {name: pl.lit(0.0) for name in ("log_ratio", "low", "high", "worst", "p", "p_holm", "flops", *ERRORS)}
    shared |= {"problems": pl.lit(2), "clusters": pl.lit(2), "pointwise": pl.lit(True)}
    for name, table in TABLES.items():
        compared = {} if name in ("picks", "growth") else {k: v for k, v in shared.items() if k not in table.columns}
        table.with_columns(**compared).write_parquet(made / f"transfer/{name}.parquet")
    parts = page.transferred(made, made / "pictures")
    text = "\n\n".join(parts)
    assert parts[0] == "### Portfolios on what no search saw"
    assert f"| {PORTFOLIO} | -0.300 (+0.000 to +0.000), p < 0.001 | -0.200 (+0.000 to +0.000), p < 0.001 |" in text
    assert "#### One network that learns its activation\n\nOn the held-out families. Each hidden layer" in text
    assert "| moa | -0.400 (+0.000 to +0.000), p < 0.001 | +0.100 (" in text
    assert "| sin | -0.125 | -0.500 | +0.250 |" in text
    assert {path.name for path in (made / "pictures").iterdir()} == {"growth.png", "picks.png", "map.png"}


def test_no_transfer_says_so(made):
    text = "\n\n".join(page.transferred(made, made / "pictures"))
    assert "No tables: nothing was transferred (transfer.to)." in text


def test_the_ranker_with_another_activation_stands_against_gelu(made):
    text = "\n\n".join(page.swapped(made, SWAP, draws=50, seed=1))
    assert "The autoregressive ranker on `zoo`, 30 steps from scratch" in text
    assert "Seeds: 2; learning rates: 2" in text
    assert "| sin | 0.562 (0.500-0.625) ±0.088 |" in text  # the seeds' means are 0.625 and 0.5
    assert "| sin | +0.312 (+0.250 to +0.375), p " in text
    assert "| portfolio classical | +0.062 (+0.000 to +0.125), p " in text.partition("against equal training")[2]
    assert "| portfolio classical | 0.500 at 0.001, gelu | 0.750 at 0.003, sin |" in text
    assert "| sin | 0.250 at 0.003 | 0.750 at 0.003 |" in text


def test_one_seed_has_no_control_and_says_so(made):
    one = SWAPPED.filter(pl.col("seed") == 1, pl.col("system") != "best of 2 gelu")
    one.write_parquet(made / "swapped.parquet")
    text = "\n\n".join(page.swapped(made, SWAP, draws=50, seed=1))
    assert "No table: it takes two seeds of GELU" in text
    assert "| sin | 0.625 (0.500-0.750) |" in text


def test_no_other_ranker_says_so(made):
    SWAPPED.clear().write_parquet(made / "swapped.parquet")
    assert page.swapped(made, SWAP, draws=50, seed=1)[1].startswith("No table: no ranker was trained with another")
