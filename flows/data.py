"""The data sets alone: queries, documents and judgements, from their sources.

As a script: python -m flows.data [--preset tiny] [--set prepare_wordnet.root=mammal.n.01 ...] [--parallel 2]
As a deployment: see prefect.yaml.
"""

from flows import script
from flows.recipe import recipe

STAGES = [
    "download_wordnet",  # the dictionary files, from the first source that has them
    "prepare_wordnet",  # queries, documents, qrels
    "download_esci",  # product search: the official files, or a generated sample
    "prepare_esci",
    "prepare_own",  # data sets of the user's
]

data = recipe("data", STAGES, "Fetch and prepare the data sets.")

if __name__ == "__main__":
    script.run(data)
