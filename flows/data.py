"""The data sets alone: queries, documents and judgements, from their sources.

As a script: python -m flows.data [--preset tiny] [--set datasets.wordnet.root=mammal.n.01 ...] [--parallel 2]
As a deployment: see prefect.yaml.
"""

from prefect import State, flow

from flows import script
from flows.parameters import Cluster, Hours, Overrides, Parallel, Preset
from flows.run import run


@flow(name="data", description="Fetch and prepare the data sets.")
def data(
    preset: Preset = None,
    overrides: Overrides = None,
    parallel: Parallel = 2,
    hours: Hours = None,
    cluster: Cluster = None,
) -> State:
    return run(["prepare"], preset, overrides, parallel, hours, cluster)


if __name__ == "__main__":
    script.run(data)
