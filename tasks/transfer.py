"""Stage `transfer`: portfolios, found functions and known ones, once, on what no search saw."""

from pathlib import Path

import polars as pl
import torch

from arrange.activations.portfolio import CLASSICAL
from arrange.activations.search.finalists import portfolios, sources_of
from arrange.activations.transfer.experiment import count_steps, run_transfer
from arrange.files import replacing
from settings import params
from tasks import stage


def transfer() -> None:
    """activations/found/ -> activations/transfer/: measurements, comparisons, lines beyond the training box."""
    settings = params.read()
    torch.set_num_threads(1)  # the networks are small, and another stage works beside this one
    found = portfolios(pl.read_parquet(Path("activations", "found", "finalists.parquet")))
    members = {name: source for one in found.values() for name, source in one.items()}
    named = [*(name for one in CLASSICAL.values() for name in one), *settings.transfer.known]
    sources = sources_of(named) | members
    random = [name for name, entry in settings.searches.items() if entry.arm == "random" and name in found]
    with stage.progress(count_steps(sources, settings.transfer), "activations") as reached:
        tables = run_transfer(
            sources,
            {name: list(one) for name, one in found.items()},
            random,
            settings.fitness,
            settings.sandbox,
            settings.transfer,
            reached,
        )
    with replacing(Path("activations", "transfer")) as part:
        part.mkdir(parents=True)
        for name, table in tables.items():
            table.write_parquet(part / f"{name}.parquet")
