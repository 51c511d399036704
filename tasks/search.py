"""Stage `search`: one search for activation functions, up to its budget."""

from pathlib import Path

from arrange.activations.search import export
from arrange.activations.search.run import run_search
from arrange.files import replacing
from settings import params
from tasks import stage


def search(name: str) -> None:
    """-> activations/searches/<name>/: candidates, measurements, elites, calls (parquet), generations.csv."""
    settings = params.read()
    database = stage.resumable() / "search.db"
    with stage.progress(settings.search.candidates, "candidates") as reached:
        run_search(
            database,
            settings.searches[name],
            settings.search,
            settings.fitness,
            settings.sandbox,
            settings.llm,
            reached,
        )
    with replacing(Path("activations", "searches", name)) as part:
        export.write(database, part)
    stage.finished()
