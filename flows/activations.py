"""Activation functions: searches and their controls, the best on fresh problems, transfer to what no search saw.

As a script: python -m flows.activations [--preset quick] [--set search.budget=3000000 ...] [--parallel 2]
As a deployment: see prefect.yaml.
"""

from flows import data, script
from flows.recipe import recipe

OWN = [
    "search",  # one per arm and seed
    "select",  # the best of each search once more, on fresh problems
    "transfer",  # held-out families, digits, tables
    "swap",  # the ranker with other activations
    "present",  # tables and pictures
]
STAGES = [*data.STAGES, "docids", *OWN]

activations = recipe("activations", STAGES, "Search for activation functions, against a random control, and transfer.")

if __name__ == "__main__":
    script.run(activations)
