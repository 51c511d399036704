"""Stage `transfer`: the best found functions and the known ones, once, on what no search saw."""

from pathlib import Path

import polars as pl
import torch

from arrange.activations.search.finalists import sources_of_groups
from arrange.activations.transfer.experiment import count_steps, run_transfer
from arrange.files import replacing
from settings import params
from tasks import stage


def transfer() -> None:
    """activations/found/ -> activations/transfer/: measurements, comparisons, lines beyond the training box."""
    settings = params.read()
    torch.set_num_threads(1)  # the networks are small, and another stage works beside this one
    finalists = pl.read_parquet(Path("activations", "found", "finalists.parquet"))
    sources = sources_of_groups(("found", "classical", "mined"), finalists, settings.transfer.found)
    winners = finalists.filter("winner")
    random = [name for name, entry in settings.searches.items() if entry.arm == "random"]
    controls = winners.filter(pl.col("search").is_in(random))
    with stage.progress(count_steps(sources, settings.transfer), "activations") as reached:
        tables = run_transfer(
            sources,
            winners["name"].to_list(),
            controls["name"].to_list(),
            settings.fitness,
            settings.sandbox,
            settings.transfer,
            reached,
        )
    with replacing(Path("activations", "transfer")) as part:
        part.mkdir(parents=True)
        for name, table in tables.items():
            table.write_parquet(part / f"{name}.parquet")


if __name__ == "__main__":
    stage.run(transfer)
