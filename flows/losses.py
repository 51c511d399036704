"""What a sweep and a comparison have in common: a ranker of each loss and seed on one data set, and nothing else."""

from collections.abc import Iterable, Mapping
from typing import Any

OTHERS = ("baselines", "listwise", "ngram", "fusions", "reranked")  # sections that make runs


def rankers_of(
    sections: Mapping[str, Any], place: Mapping[str, Any], losses: Iterable[str], reference: str
) -> dict[str, Any]:
    """Overrides that leave one data set, with a ranker for each loss and seed, and no baselines, fusions, rerankings.

    place: a section with `data`, `docids` and `seeds`. reference: the loss that others are tested against.
    """
    data, docids = place["data"], place["docids"]
    rankers = {
        f"{data}-{loss}-{seed}": {"data": data, "docids": docids, "loss": loss, "seed": seed}
        for loss in losses
        for seed in place["seeds"]
    }
    others = [name for name, catalogue in sections["catalogues"].items() if catalogue["data"] != data]
    there = {"data": data, "docids": docids}  # what other sections name must be there
    return {
        "datasets": dict.fromkeys(name for name in sections["datasets"] if name != data),  # None takes an entry away
        "catalogues": dict.fromkeys(others),
        "rankers": dict.fromkeys(sections["rankers"]) | rankers,
        **{name: dict.fromkeys(sections[name]) for name in OTHERS},
        # first stages of this data set stay: one may be a teacher's table
        "candidates": dict.fromkeys(name for name, each in sections["candidates"].items() if each["data"] != data),
        "evaluate": {"reference": reference},
        "sweep": there,
        "compare": there,
        "swap": there | {"loss": reference, "of": []},
    }
