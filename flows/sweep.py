"""A sweep over loss parameters: one ranker per cell, measured on the validation queries, drawn as maps in the report.

As a script: python -m flows.sweep [--preset tiny] [--set sweep.seeds=[1,2,3] ...] [--parallel 2]
As a deployment: see prefect.yaml.
"""

from collections.abc import Mapping
from itertools import product
from typing import Any

from prefect import State, flow

from flows import script
from flows.parameters import Cluster, Hours, Overrides, Parallel, Preset
from flows.run import run


@flow(name="sweep", description="Compare losses over a grid of their parameters (section `sweep`).")
def sweep(
    preset: Preset = None,
    overrides: Overrides = None,
    parallel: Parallel = 2,
    hours: Hours = None,
    cluster: Cluster = None,
) -> State:
    return run(["track"], preset, overrides, parallel, hours, cluster, derive=cells)


OTHER_SYSTEMS = ("baselines", "candidates", "listwise", "fusions", "reranked")


def cells(sections: Mapping[str, Any]) -> dict[str, Any]:
    """The sweep as overrides: its losses, a ranker for each loss and seed, and nothing but rankers and controls."""
    grid = sections["sweep"]
    data, docids = grid["data"], grid["docids"]
    weights = [
        *product(grid["alpha"], grid["beta"], [1.0]),
        *product([0.0], [1.0], grid["gamma"]),  # one row, where documents count alike
    ]
    losses: dict[str, dict[str, Any]] = {
        combined(*each): {"rule": "combined"} | dict(zip(("alpha", "beta", "gamma"), each, strict=True))
        for each in weights
    } | {f"geometric-r{word(rho)}": {"rule": "geometric", "rho": rho} for rho in grid["rho"]}
    rankers = {
        f"{data}-{loss}-{seed}": {"data": data, "docids": docids, "loss": loss, "seed": seed}
        for loss in losses
        for seed in grid["seeds"]
    }
    usual = combined(1.0, 1.0, 1.0)
    reference = usual if usual in losses else next(iter(losses), usual)
    others = [name for name, catalogue in sections["catalogues"].items() if catalogue["data"] != data]
    return {
        "datasets": dict.fromkeys(name for name in sections["datasets"] if name != data),  # None takes an entry away
        "catalogues": dict.fromkeys(others),
        "losses": losses,
        "rankers": dict.fromkeys(sections["rankers"]) | rankers,
        **{name: dict.fromkeys(sections[name]) for name in OTHER_SYSTEMS},
        "rank": {"split": "validation"},
        "evaluate": {"reference": reference},
        "swap": {"data": data, "docids": docids, "loss": reference, "of": []},  # what it names must be there
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


if __name__ == "__main__":
    script.run(sweep)
