"""What a sweep and a comparison have in common: a ranker of each loss and seed on one data set, and nothing else."""

from collections.abc import Iterable, Mapping
from typing import Any

from settings.params import by_data


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
    there = {"data": data, "docids": docids}  # what other sections name must be there
    # of these, those of this data set stay: a teacher's table may be one of its candidates
    shared = {"catalogues", "candidates"}
    taken_away = {  # None takes an entry away
        section: dict.fromkeys(name for name, each in entries.items() if section not in shared or each["data"] != data)
        for section, entries in by_data(sections).items()
    }
    return taken_away | {
        "datasets": dict.fromkeys(name for name in sections["datasets"] if name != data),
        "rankers": taken_away["rankers"] | rankers,
        "evaluate": {"reference": reference},
        "sweep": there,
        "compare": there,
        "swap": there | {"loss": reference, "of": []},
    }
