"""Stage `swap`: the autoregressive ranker with each activation in its feed-forward layers."""

from pathlib import Path

import polars as pl

from arrange.activations.search.finalists import sources_of_groups
from arrange.activations.transfer.ranker import SWAPPED, ranker_task, swap_activations, with_reference
from arrange.files import replacing
from settings import params
from tasks import stage


def swap() -> None:
    """activations/found/, data/, docids/ -> activations/swapped.parquet: nDCG@10 of each activation and query.

    The reference GELU is always among them. Without groups in `swap.of` the table is empty.
    """
    settings = params.read()
    swapping = settings.swap
    finalists = pl.read_parquet(Path("activations", "found", "finalists.parquet"))
    scores = pl.DataFrame(schema=SWAPPED)
    if swapping.of:
        sources = with_reference(sources_of_groups(swapping.of, finalists))
        task = ranker_task(
            swapping,
            Path("data", swapping.data),
            Path("docids", f"{swapping.data}-{swapping.docids}"),
            settings.finetune,
            settings.prompt,
            settings.losses[swapping.loss],
            settings.rank,
        )
        with stage.progress(len(sources), "activations") as reached:
            scores = swap_activations(sources, task, settings.sandbox.flops, reached)
    with replacing(Path("activations", "swapped.parquet")) as part:
        scores.write_parquet(part)
