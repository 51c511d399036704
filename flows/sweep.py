"""A sweep over loss parameters: one ranker per cell, measured on the validation queries, drawn as maps in the report.

As a script: python -m flows sweep [--preset tiny] [--set sweep.seeds=[1,2,3] ...] [--parallel 2]
As a deployment: see prefect.yaml.
"""

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

from prefect import State, flow

from arrange.errors import UserError
from flows.parameters import Cluster, Hours, Overrides, Parallel, Preset
from flows.run import run
from settings.params import by_data


@flow(name="sweep", description="Compare losses over a grid of their parameters (section `sweep`).")
def sweep(
    preset: Preset = None,
    overrides: Overrides = None,
    parallel: Parallel = 2,
    hours: Hours = None,
    cluster: Cluster = None,
) -> State:
    return run(["ranking_report"], preset, overrides, parallel, hours, cluster, derive=cells)


def cells(sections: Mapping[str, Any]) -> dict[str, Any]:
    """The sweep as overrides: its losses, and what `rankers_of` makes of them, measured on the validation queries."""
    grid = sections["sweep"]
    weights = [
        *product(grid["alpha"], grid["beta"], [1.0]),
        *product([0.0], [1.0], grid["gamma"]),  # one row, where documents count alike
    ]
    losses: dict[str, dict[str, Any]] = {
        combined(*each): {"rule": "combined"} | dict(zip(("alpha", "beta", "gamma"), each, strict=True))
        for each in weights
    } | {f"geometric-r{word(rho)}": {"rule": "geometric", "rho": rho} for rho in grid["rho"]}
    if not losses:
        raise UserError(
            "the grid of section sweep is empty", "give sweep.rho, sweep.gamma, or sweep.alpha and beta values"
        )
    usual = combined(1.0, 1.0, 1.0)
    reference = usual if usual in losses else next(iter(losses))
    compared = {loss: (grid["docids"], loss) for loss in losses}
    return rankers_of(sections, grid, compared, reference) | {"losses": losses, "rank": {"split": "validation"}}


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


def combined(alpha: float, beta: float, gamma: float) -> str:
    """The name of a combined loss."""
    return f"combined-a{word(alpha)}-b{word(beta)}-g{word(gamma)}"


def word(value: float) -> str:
    """A number as part of a name: 0_5, inf.

    >>> word(0.5), word(2.0)
    ('0_5', '2')
    """
    return f"{value:g}".replace(".", "_")
