"""The whole pipeline: rankers finetuned with each loss and activation functions searched for, compared and recorded.

As a script: python -m flows.pipeline [--preset tiny] [--set rank.beams=50 ...] [--parallel 2]
As a deployment: see prefect.yaml.
"""

from flows import activations, ranking, script
from flows.recipe import recipe

STAGES = [
    *ranking.STAGES,
    *activations.OWN,
    "report",  # tables and pictures
    "track",  # into MLflow
]

pipeline = recipe("pipeline", STAGES, "Finetune and compare autoregressive rankers; search for activation functions.")

if __name__ == "__main__":
    script.run(pipeline)
