"""Autoregressive ranking: from data to rankers finetuned with each loss, measured.

As a script: python -m flows.ranking [--preset tiny] [--set rank.beams=50 ...] [--parallel 2]
As a deployment: see prefect.yaml.
"""

from flows import data, script
from flows.recipe import recipe

STAGES = [
    *data.STAGES,
    "docids",  # names or codes, tokenizer and trie, one per catalogue
    "finetune",  # one per ranker
    "rank",  # beam search in the trie, or full scoring of the candidates
    "controls",  # neighbours' vote, popularity, random order of the true documents ...
    "baselines",  # BM25, dual and cross encoders
    "evaluate",  # measures with intervals and tests
    "export",  # the best ranker by validation, with all that ranking needs
]

ranking = recipe("ranking", STAGES, "Finetune autoregressive rankers with each loss, and measure them.")

if __name__ == "__main__":
    script.run(ranking)
