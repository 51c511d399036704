"""Stage `select`: the best of each search once more, on fresh problems from fresh seeds, which decides who won."""

from pathlib import Path

import polars as pl

from arrange.activations import found
from arrange.activations.evaluator import laboratory
from arrange.activations.search.export import finalists
from arrange.files import replacing
from settings import params
from tasks import stage

REAL = dict.fromkeys(("flops", "gain", "fitness", "confirmed", "validated"), pl.Float64())
TEXT = dict.fromkeys(("name", "search", "source", "mutator"), pl.String())
FINALISTS = pl.Schema({**TEXT, "id": pl.Int64(), "pointwise": pl.Boolean(), **REAL})


def select() -> None:
    """activations/searches/ -> activations/found/: finalists.parquet, a module for each of them, best.py."""
    settings = params.read()
    rows = [row for search in settings.searches for row in best(search, settings.select.finalists)]
    with (
        laboratory(settings.fitness.model_dump(), settings.select.seed, **settings.sandbox.model_dump()) as measure,
        stage.progress(len(rows), "finalists") as reached,
    ):
        for done, row in enumerate(rows, start=1):
            (validated,) = measure([row["source"]], "validate")
            row["validated"] = validated.fitness
            reached(done, "")
    write(with_winners(pl.DataFrame(rows, FINALISTS)))


def best(search: str, count: int) -> list[dict]:
    """The rows of a search's finalists, each with a name of its own."""
    candidates = pl.read_parquet(Path("activations", "searches", search, "candidates.parquet"))
    return [
        {"name": f"{search}-{row['id']}", "search": search, **row}
        for row in finalists(candidates, count).rows(named=True)
    ]


def with_winners(table: pl.DataFrame) -> pl.DataFrame:
    """The finalists, the best on the fresh problems first; `winner` marks the first of each search."""
    ranked = table.drop_nulls("validated").sort("validated", "name", descending=[True, False])
    return ranked.with_columns(winner=pl.col("search").is_first_distinct())


def write(finalists: pl.DataFrame) -> None:
    """The table, and the functions as modules that need nothing but torch."""
    with replacing(Path("activations", "found")) as part:
        part.mkdir(parents=True)
        finalists.write_parquet(part / "finalists.parquet")
        for place, row in enumerate(finalists.rows(named=True)):
            about = {name: row[name] for name in ("name", "search", "mutator", *REAL)}
            about["batch statistics"] = "no" if row["pointwise"] else "yes"
            found.save(part / f"{row['name']}.py", row["source"], about)
            if place == 0:
                found.save(part / "best.py", row["source"], about)


if __name__ == "__main__":
    stage.run(select)
