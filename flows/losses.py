"""What a sweep and a comparison have in common: rankers of one data set with some docIDs, losses and seeds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from settings.params import by_data


def rankers_of(
    sections: Mapping[str, Any], place: Mapping[str, Any], compared: Mapping[str, tuple[str, str]], reference: str
) -> dict[str, Any]:
    """Overrides that leave one data set, with a ranker for each system and seed, and nothing else that ranks.

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
    docids, loss = compared[reference]
    there = {"data": data, "docids": docids}  # what other sections name must be there
    taken_away = {section: dict.fromkeys(entries) for section, entries in by_data(sections).items()}  # by None
    taught = Path(sections["finetune"]["teacher"]["table"]).stem
    taken_away.get("candidates", {}).pop(taught, None)  # what a teacher's table is made of stays
    return taken_away | {
        "datasets": dict.fromkeys(name for name in sections["datasets"] if name != data),
        "catalogues": taken_away["catalogues"] | catalogues,
        "rankers": taken_away["rankers"] | rankers,
        "evaluate": {"reference": reference},
        "sweep": there,
        "compare": {"data": data},
        "swap": there | {"loss": loss, "of": [], "known": []},
    }
