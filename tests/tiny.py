"""A toy ranking task and a model for it; run as a script it trains, in a process of its own that can be killed.

python tiny.py FOLDER [STEP]: trains into FOLDER/model with checkpoints in FOLDER/unfinished; kills itself at STEP.
"""

import os
import signal
import sys
from functools import partial
from pathlib import Path

import numpy as np

from arrange.docids.tokens import Prompt
from arrange.models import ranker as model
from arrange.training import examples, losses, packing, training

PROMPTS = [Prompt([1, 10 + q, *range(20, 20 + q)], [3]) for q in range(4)]
DOCIDS = [[40, 2], [41, 42, 2], [41, 43, 44, 2]]
RANKS = np.array([1.0, 2.0, 3.0])
LISTS = examples.Examples(PROMPTS, [(np.arange(3), RANKS)] * 4, packing.docid_tokens(DOCIDS), pad_token_id=0)
SHAPE = {
    "model_type": "llama",
    "hidden_size": 16,
    "intermediate_size": 42,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
ARGUMENTS = {
    "max_steps": 30,
    "per_device_train_batch_size": 3,
    "learning_rate": 1e-2,
    "lr_scheduler_type": "cosine",
    "warmup_steps": 0.1,
    "logging_steps": 5,
    "eval_strategy": "steps",
    "eval_steps": 10,
    "save_strategy": "steps",
    "save_steps": 10,
    "save_total_limit": 2,
    "load_best_model_at_end": True,
    "metric_for_best_model": "quality",
    "greater_is_better": True,
}


class Tokens:
    """What a model must know of a tokenizer."""

    bos_token_id, eos_token_id, pad_token_id = 1, 2, 0

    def __len__(self) -> int:
        return 64


def ranker(seed: int = 0, dropout: float = 0.0) -> model.PreTrainedModel:
    made = model.from_scratch(SHAPE, Tokens(), positions=32, seed=seed)
    for layer in made.model.layers:
        layer.self_attn.attention_dropout = dropout
    return made


def trained(folder: Path, made=None, lists=LISTS, loss=None, arguments=None, **options) -> list[dict[str, float]]:
    """Train into `folder`; the quality on validation is always 0.5 unless `validate` says otherwise."""
    given = {"seed": 7, "threads": 1, "validate": lambda _: {"quality": 0.5}} | options
    return training.train(
        made or ranker(),
        lists,
        loss or losses.Item(alpha=1.0),
        folder / "model",
        folder / "unfinished",
        arguments=ARGUMENTS | (arguments or {}),
        **given,
    )


def die_at(last: int, step: int) -> None:
    if step == last:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    last = int(sys.argv[2]) if len(sys.argv) > 2 else -1
    print(trained(Path(sys.argv[1]), ranker(dropout=0.2), progress=partial(die_at, last)))
