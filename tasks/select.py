"""Stage `select`: the best of each search once more, on fresh problems from fresh seeds, which decides who won."""

from pathlib import Path

import polars as pl

from arrange.activations.fitness.evaluator import evaluator
from arrange.activations.search.finalists import best_of_searches, validate_finalists, write_finalists
from arrange.files import replacing
from settings import params
from tasks import stage


def select() -> None:
    """activations/searches/ -> activations/found/: finalists.parquet, a module for each of them, best.py."""
    settings = params.read()
    folder = Path("activations", "searches")
    searches = {name: pl.read_parquet(folder / name / "candidates.parquet") for name in settings.searches}
    finalists = best_of_searches(searches, settings.select.finalists)
    with (
        evaluator(settings.fitness, settings.sandbox, settings.select.seed) as evaluate,
        stage.progress(len(finalists), "finalists") as reached,
    ):
        validated = validate_finalists(finalists, evaluate, reached)
    with replacing(Path("activations", "found")) as part:
        write_finalists(validated, part)


if __name__ == "__main__":
    stage.run(select)
