"""The whole pipeline: rankers finetuned with each loss and activation functions searched for, compared and recorded.

As a script: python -m flows.pipeline [--preset tiny] [--set rank.beams=50 ...] [--parallel 2]
As a deployment: see prefect.yaml.
"""

from prefect import State, flow

from flows import script
from flows.parameters import Cluster, Hours, Overrides, Parallel, Preset
from flows.run import run


@flow(name="pipeline", description="Finetune and compare autoregressive rankers; search for activation functions.")
def pipeline(
    preset: Preset = None,
    overrides: Overrides = None,
    parallel: Parallel = 2,
    hours: Hours = None,
    cluster: Cluster = None,
) -> State:
    return run(["track"], preset, overrides, parallel, hours, cluster)


if __name__ == "__main__":
    script.run(pipeline)
