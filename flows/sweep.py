"""A sweep over loss parameters: one ranker per cell, measured on the validation queries, drawn as maps in the report.

As a script: python -m flows.sweep [--preset tiny] [--set sweep.seeds=[1,2,3] ...] [--parallel 2]
As a deployment: see prefect.yaml.
"""

from itertools import product
from typing import Any

from flows import script
from flows.pipeline import STAGES
from flows.recipe import recipe
from settings.sections import Settings


def cells(settings: Settings) -> dict[str, Any]:
    """The sweep as overrides: its losses, a ranker for each loss and seed in place of those there are, no baselines."""
    grid = settings.sweep
    losses: dict[str, dict[str, Any]] = {
        f"combined-a{word(alpha)}-b{word(beta)}-g{word(gamma)}": {
            "rule": "combined",
            "alpha": alpha,
            "beta": beta,
            "gamma": gamma,
        }
        for alpha, beta, gamma in [
            *product(grid.alpha, grid.beta, [1.0]),
            *product([0.0], [1.0], grid.gamma),  # one row, where documents count alike
        ]
    } | {f"geometric-r{word(rho)}": {"rule": "geometric", "rho": rho} for rho in grid.rho}
    rankers = {
        f"{grid.data}-{loss}-{seed}": {"data": grid.data, "docids": grid.docids, "loss": loss, "seed": seed}
        for loss in losses
        for seed in grid.seeds
    }
    usual = f"combined-a{word(1.0)}-b{word(1.0)}-g{word(1.0)}"
    reference = usual if usual in losses else next(iter(losses), usual)
    return {
        "datasets": [grid.data],
        "catalogues": dict.fromkeys(name for name, made in settings.catalogues.items() if made.data != grid.data),
        "losses": losses,
        "rankers": dict.fromkeys(settings.rankers) | rankers,  # None takes an entry away
        "baselines": dict.fromkeys(settings.baselines),
        "rank": {"split": "validation"},
        "evaluate": {"reference": reference},
        "swap": {"data": grid.data, "docids": grid.docids, "loss": reference, "of": []},  # what it names must be there
    }


def word(value: float) -> str:
    """A number as part of a name: 0_5, inf.

    >>> word(0.5), word(2.0)
    ('0_5', '2')
    """
    return f"{value:g}".replace(".", "_")


sweep = recipe("sweep", STAGES, "Compare losses over a grid of their parameters (section `sweep`).", derive=cells)

if __name__ == "__main__":
    script.run(sweep)
