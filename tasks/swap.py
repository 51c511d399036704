"""Stage `swap`: the autoregressive ranker with each activation in its feed-forward layers."""

from pathlib import Path

import polars as pl

from arrange.activations.portfolio import CLASSICAL
from arrange.activations.search.finalists import portfolios, sources_of, sources_of_groups
from arrange.activations.transfer.swapped import SWAPPED, with_portfolios
from arrange.files import replacing
from settings import params
from tasks import stage


def swap() -> None:
    """activations/found/, data/, docids/ -> activations/swapped.parquet: nDCG@10 of each activation, seed and query.

    The classical portfolio's members, GELU first, are always among them. Without groups in `swap.of` and without
    functions in `swap.known` the table is empty.
    """
    settings = params.read()
    swapping = settings.swap
    finalists = pl.read_parquet(Path("activations", "found", "finalists.parquet"))
    scores = pl.DataFrame(schema=SWAPPED)
    if swapping.of or swapping.known:
        # here: what trains takes seconds to import
        from arrange.activations.transfer.ranker import ranker_task, swap_activations

        sources = sources_of([*CLASSICAL["classical"], *swapping.known], "swap.known")
        sources |= sources_of_groups(swapping.of, finalists)
        data, catalogue = Path("data", swapping.data), Path("docids", f"{swapping.data}-{swapping.docids}")
        of_ranker = settings.finetune, settings.prompt, settings.losses[swapping.loss], settings.rank
        tasks = (ranker_task(swapping, seed, data, catalogue, *of_ranker) for seed in swapping.seeds)
        with stage.progress(len(sources) * len(swapping.seeds), "activations") as reached:
            trained = swap_activations(sources, tasks, settings.sandbox.flops, reached)
        found = portfolios(finalists) if "found" in swapping.of else {}
        scores = with_portfolios(trained, {**{name: tuple(one) for name, one in found.items()}, **CLASSICAL})
    with replacing(Path("activations", "swapped.parquet")) as part:
        scores.write_parquet(part)
