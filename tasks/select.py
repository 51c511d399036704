"""Stage `select`: the portfolio of each search, grown from its finalists on fresh problems of all searched families."""

from pathlib import Path

import polars as pl

from arrange.activations.fitness.evaluator import evaluator
from arrange.activations.search.finalists import best_of_searches, choose_portfolios, write_finalists
from arrange.files import replacing
from settings import params
from tasks import stage


def select() -> None:
    """activations/searches/ -> activations/found/: finalists.parquet, a module for each, portfolio/, best.py."""
    settings = params.read()
    folder = Path("activations", "searches")
    searches = {
        name: {table: pl.read_parquet(folder / name / f"{table}.parquet") for table in ("candidates", "joins")}
        for name in settings.searches
    }
    finalists = best_of_searches(searches, settings.select.finalists)
    with (
        evaluator(settings.fitness, settings.sandbox, settings.select.seed) as evaluate,
        stage.progress(1 + finalists["source"].n_unique(), "programs") as reached,
    ):
        chosen = choose_portfolios(finalists, evaluate, settings.search.members, reached)
    with replacing(Path("activations", "found")) as part:
        write_finalists(chosen, part)
