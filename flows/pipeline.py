"""The flows over the stages of dvc.yaml. Each names its last stages; DVC's graph gives what these wait for.

As scripts: python -m flows ranking [--preset tiny] [--set rank.beams=100 ...] [--parallel 2]
As deployments: see prefect.yaml. flows/compare.py has the other two.
"""

from prefect import State, flow

from flows.parameters import Overrides, Parallel, Preset
from flows.run import run


@flow(name="pipeline", description="Finetune and compare autoregressive rankers; search for activation functions.")
def pipeline(preset: Preset = None, overrides: Overrides = None, parallel: Parallel = 2) -> State:
    return run(["track"], preset, overrides, parallel)


@flow(name="ranking", description="Finetune autoregressive rankers with each loss, and measure them.")
def ranking(preset: Preset = None, overrides: Overrides = None, parallel: Parallel = 2) -> State:
    return run(["export", "ranking_report"], preset, overrides, parallel)


@flow(name="activations", description="Search for activation functions, against a random control, and transfer.")
def activations(preset: Preset = None, overrides: Overrides = None, parallel: Parallel = 2) -> State:
    return run(["activations_report"], preset, overrides, parallel)


@flow(name="data", description="Fetch and prepare the data sets.")
def data(preset: Preset = None, overrides: Overrides = None, parallel: Parallel = 2) -> State:
    return run(["prepare"], preset, overrides, parallel)
