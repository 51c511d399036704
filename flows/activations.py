"""Activation functions: searches and their controls, the best on fresh problems, transfer to what no search saw.

As a script: python -m flows.activations [--preset quick] [--set search.budget=3000000 ...] [--parallel 2]
As a deployment: see prefect.yaml.
"""

from prefect import State, flow

from flows import script
from flows.parameters import Cluster, Hours, Overrides, Parallel, Preset
from flows.run import run


@flow(name="activations", description="Search for activation functions, against a random control, and transfer.")
def activations(
    preset: Preset = None,
    overrides: Overrides = None,
    parallel: Parallel = 2,
    hours: Hours = None,
    cluster: Cluster = None,
) -> State:
    return run(["activations_report"], preset, overrides, parallel, hours, cluster)


if __name__ == "__main__":
    script.run(activations)
