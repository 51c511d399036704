"""A training with every term at once, on lists of which some have no pair.

python all_terms.py FOLDER QUERIES ACCUMULATED: trains into FOLDER and prints the loss and the gradient's norm of each
step; with `torchrun`, in several processes.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import tiny

from arrange.docids import trie
from arrange.training.losses import Item, Prefix, Terms

RANKS = [[1, 2, 3], [1, 1, 1], [1, 2, np.nan], [1]]
JUDGED = [(np.arange(len(ranks)), np.array(ranks, dtype=float)) for ranks in RANKS]
LISTS = replace(tiny.LISTS, lists=JUDGED, trie=trie.build(tiny.DOCIDS))
TERMS = Terms(
    plackett_luce=1.0, list_mle=1.0, hinge=1.0, lambda_loss=1.0, approx_ndcg=1.0, neural_ndcg=1.0, margin=9.0,
    prefix=Prefix(weight=1.0, worst=1.0),
)  # fmt: skip


def trained(folder: Path, queries: int, accumulated: int) -> list[dict[str, float]]:
    """Five steps of so many queries, in so many pieces each."""
    sizes = {"per_device_train_batch_size": queries, "gradient_accumulation_steps": accumulated}
    never = {"eval_strategy": "no", "save_strategy": "no", "load_best_model_at_end": False}
    arguments = sizes | never | {"max_steps": 5, "logging_steps": 1}
    return tiny.trained(folder, loss=Item(alpha=1.0, terms=TERMS), lists=LISTS, arguments=arguments)


if __name__ == "__main__":
    for row in trained(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])):
        print(row["loss"], row["grad_norm"], flush=True)
