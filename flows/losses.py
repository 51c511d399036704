"""What a sweep and a comparison have in common: rankers of one data set with some docIDs, losses and seeds."""

from collections.abc import Mapping
from typing import Any

OTHERS = ("baselines", "listwise", "ngram", "fusions", "reranked")  # sections that make runs


def rankers_of(
    sections: Mapping[str, Any], place: Mapping[str, Any], compared: Mapping[str, tuple[str, str]], reference: str
) -> dict[str, Any]:
    """Overrides that leave one data set, with a ranker for each system and seed, and no baselines, fusions, rerankings.

    place: a section with `data` and `seeds`. compared: each system's docIDs and loss. reference: the system that others
    are tested against.
    """
    data = place["data"]
    rankers = {
        f"{data}-{system}-{seed}": {"data": data, "docids": docids, "loss": loss, "seed": seed}
        for system, (docids, loss) in compared.items()
        for seed in place["seeds"]
    }
    catalogues = {f"{data}-{docids}": {"data": data, "docids": docids} for docids, _ in compared.values()}
    others = [name for name, catalogue in sections["catalogues"].items() if catalogue["data"] != data]
    docids, loss = compared[reference]
    there = {"data": data, "docids": docids}  # what other sections name must be there
    return {
        "datasets": dict.fromkeys(name for name in sections["datasets"] if name != data),  # None takes an entry away
        "catalogues": dict.fromkeys(others) | catalogues,
        "rankers": dict.fromkeys(sections["rankers"]) | rankers,
        **{name: dict.fromkeys(sections[name]) for name in OTHERS},
        # first stages of this data set stay: one may be a teacher's table
        "candidates": dict.fromkeys(name for name, each in sections["candidates"].items() if each["data"] != data),
        "evaluate": {"reference": reference},
        "sweep": there,
        "compare": {"data": data},
        "swap": there | {"loss": loss, "of": []},
    }
