"""Autoregressive ranking: from data to rankers finetuned with each loss, measured.

As a script: python -m flows.ranking [--preset tiny] [--set rank.beams=50 ...] [--parallel 2]
As a deployment: see prefect.yaml.
"""

from prefect import State, flow

from flows import script
from flows.parameters import Cluster, Hours, Overrides, Parallel, Preset
from flows.run import run


@flow(name="ranking", description="Finetune autoregressive rankers with each loss, and measure them.")
def ranking(
    preset: Preset = None,
    overrides: Overrides = None,
    parallel: Parallel = 2,
    hours: Hours = None,
    cluster: Cluster = None,
) -> State:
    return run(["export", "ranking_report"], preset, overrides, parallel, hours, cluster)


if __name__ == "__main__":
    script.run(ranking)
