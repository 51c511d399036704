"""The finalists of each search on fresh problems, and the portfolio that grows from them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import polars as pl

from arrange.activations import portfolio
from arrange.activations.classical import CLASSICAL
from arrange.activations.evaluation import REFERENCE, Evaluate
from arrange.activations.mined import MINED
from arrange.activations.portfolio import Measured
from arrange.activations.programs.files import save, source_of
from arrange.activations.search.candidates import SEED
from arrange.activations.search.evolve import KNOWN, SEEDS
from arrange.activations.search.export import contenders
from arrange.activations.settings import Group
from arrange.errors import UserError

GELU = "gelu"
REAL = dict.fromkeys(("flops", "gain", "fitness", "confirmed", "validated"), pl.Float64())
TEXT = dict.fromkeys(("name", "search", "source", "mutator"), pl.String())
FINALISTS = pl.Schema({**TEXT, "id": pl.Int64(), "pointwise": pl.Boolean(), **REAL})
CHOSEN = pl.Schema({**FINALISTS, "place": pl.Int64(), "added": pl.Float64()})
Searches = Mapping[str, Mapping[str, pl.DataFrame]]  # by name, each with the tables of `export.tables`


def best_of_searches(searches: Searches, count: int) -> pl.DataFrame:
    """The `count` best of each search by its tables `candidates` and `joins`: FINALISTS, `validated` null.

    A known function that a search began with has its own name; the others have those of their search and number.
    """
    names = {source: name for name, source in SEEDS.items()}
    rows = [
        {**row, "search": search, "name": names[row["source"]] if row["mutator"] == SEED else f"{search}-{row['id']}"}
        for search, tables in searches.items()
        for row in contenders(tables["candidates"], tables["joins"], count).rows(named=True)
    ]
    return pl.DataFrame(rows, FINALISTS)


def choose_portfolios(
    finalists: pl.DataFrame, evaluate: Evaluate, members: int, reached: Callable[[int], object] = lambda done: None
) -> pl.DataFrame:
    """The finalists with their gain to GELU on fresh problems, and their place in their search's portfolio: CHOSEN.

    Each search's portfolio begins with GELU and grows by greedy forward selection up to `members`. `place` is 1 for the
    first that was added to GELU, `added` what it added; both are null for those that were not. Searches are in the
    order of what their portfolios gain, the best first, and in each the members come first. Finalists without a score
    are left out. `reached` is called after each program that was measured.
    """
    measured: dict[str, Measured] = {}
    gains: dict[str, float | None] = {}
    for source in [REFERENCE, *finalists["source"].unique(maintain_order=True)]:
        (evaluation,) = evaluate([source], "validate")
        measured[source], gains[source] = evaluation.measurements, evaluation.fitness
        reached(len(measured))
    table = finalists.with_columns(validated=pl.col("source").replace_strict(gains, return_dtype=pl.Float64))
    parts = [
        _grown(part, measured, members)
        for part in table.drop_nulls("validated").partition_by("search", maintain_order=True)
    ]
    ranked = sorted(parts, key=lambda part: -part["added"].sum())
    return pl.concat([pl.DataFrame(schema=CHOSEN), *ranked])


def _grown(finalists: pl.DataFrame, measured: Mapping[str, Measured], members: int) -> pl.DataFrame:
    """One search's finalists with `place` and `added`."""
    pool = {source: measured[source] for source in finalists["source"]}
    steps = portfolio.grow(pool, {REFERENCE: measured[REFERENCE]}, members)
    added = pl.DataFrame(
        [(step.name, place, step.gain) for place, step in enumerate(steps, start=1)],
        {"source": pl.String, "place": pl.Int64, "added": pl.Float64},
        orient="row",
    )
    ranked = finalists.join(added, on="source", how="left", maintain_order="left")
    return ranked.sort("place", -pl.col("validated"), "name", nulls_last=True).select(list(CHOSEN))


def write_finalists(finalists: pl.DataFrame, folder: Path) -> None:
    """Write finalists.parquet, each function as a module that needs nothing but torch, and the folder `portfolio`.

    `portfolio` has the members of the first search's portfolio, GELU among them; best.py is the first one that the
    search did not begin with, if there is one.
    """
    folder.mkdir(parents=True)
    finalists.write_parquet(folder / "finalists.parquet")
    best = next((row["name"] for row in finalists.rows(named=True) if row["mutator"] != SEED), None)
    for row in finalists.unique("name", keep="first", maintain_order=True).rows(named=True):
        about = {name: row[name] for name in ("name", "search", "mutator", *REAL, "place", "added")}
        about["batch statistics"] = "no" if row["pointwise"] else "yes"
        for name in [row["name"], "best"] if row["name"] == best else [row["name"]]:
            save(folder / f"{name}.py", row["source"], about)
    members = portfolios(finalists)
    first = next(iter(members.values()), {GELU: REFERENCE})
    portfolio.save(folder / "portfolio", first)


def portfolios(finalists: pl.DataFrame) -> dict[str, dict[str, str]]:
    """Each search's portfolio, programs by name in order, GELU first; `finalists` is a table of CHOSEN."""
    return {
        part["search"][0]: {GELU: REFERENCE}
        | dict(part.drop_nulls("place").sort("place").select("name", "source").iter_rows())
        for part in finalists.partition_by("search", maintain_order=True)
    }


def sources_of(names: Sequence[str], key: str = "transfer.known") -> dict[str, str]:
    """The programs of known functions: of `evolve.KNOWN` and `evolve.SEEDS`.

    Raises UserError for an unknown name, which says the key that has it.
    """
    known = {**KNOWN, **SEEDS}
    if unknown := [name for name in names if name not in known]:
        raise UserError(f"{key}: there is no function {unknown[0]!r}", f"take some of {', '.join(known)}")
    return {name: known[name] for name in names}


def sources_of_groups(groups: Sequence[Group], finalists: pl.DataFrame) -> dict[str, str]:
    """The programs of these groups by name.

    found: the members of all portfolios of `finalists`, GELU left out.
    classical, mined: all of `arrange.activations.classical` and `arrange.activations.mined`.
    """
    found = {name: source for one in portfolios(finalists).values() for name, source in one.items() if name != GELU}
    sources = {
        "found": found,
        "classical": {name: source_of(function) for name, function in CLASSICAL.items()},
        "mined": {name: source_of(function) for name, function in MINED.items()},
    }
    return {name: source for group in groups for name, source in sources[group].items()}
