"""Saving a ranker, and reading it back: what ranks later is what was trained."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from arrange.errors import UserError
from arrange.files import remove, replacing
from arrange.models import adapters
from arrange.models import ranker as model
from arrange.training import packed_pass as packed
from arrange.training.examples import Examples, batch

QUERIES = 4  # that are compared
NATS = 0.05  # by which log-probabilities of whole docIDs may differ: adapters round otherwise once they are merged
NATS_APART = 0.001  # the same, between adapters that were merged before they were saved and after


def save(ranker: torch.nn.Module, lists: Examples, folder: Path) -> None:
    """Save a ranker, whole or not at all. Adapters are merged; they are kept beside it if the base model and they give
    the same ranker again.

    Raises UserError unless the saved model gives the docIDs of some queries the log-probabilities of `ranker`. A
    tied output layer that adapters changed would not come back, for one.
    """
    expected_D = _scores(ranker, lists)
    with replacing(folder) as part:
        adapters.save(ranker, part / adapters.FOLDER)
        model.save(ranker, part)
        device: Any = next(ranker.parameters()).device  # so that both round alike
        found_D = _scores(model.load(part).to(device), lists)
        if not (difference := (found_D - expected_D).abs().max().item()) < NATS:
            raise UserError(
                f"what was saved ranks otherwise than what was trained: log-probabilities differ by {difference:.2g}",
                "leave embed_tokens and lm_head out of finetune.lora.target_modules, or train without LoRA",
            )
        if not _same_apart(part, lists, found_D, device):
            remove(part / adapters.FOLDER)


def _same_apart(folder: Path, lists: Examples, merged_D: Tensor, device: Any) -> bool:
    """Whether the ranker can be made again of its base model and its adapters."""
    if not (folder / adapters.FOLDER).is_dir():
        return False
    try:
        made: Any = adapters.load(folder, Path(adapters.noted_base(folder)["folder"]))
    except UserError:  # some ways to begin adapters change the base model's weights
        return False
    return (_scores(made.to(device), lists) - merged_D).abs().max().item() < NATS_APART


@torch.no_grad()
def _scores(ranker: torch.nn.Module, lists: Examples) -> Tensor:
    """log P(docID | prompt) of the documents of the first queries."""
    inner = model.without_adapters(ranker)
    queries = [(query, query) for query in range(min(QUERIES, len(lists.prompts)))]
    packed_batch = {name: part.to(inner.device) for name, part in batch(queries, lists).items()}
    was_training = ranker.training
    log_probability_E = packed.edge_log_probabilities(ranker.eval(), packed_batch, inner)
    ranker.train(was_training)
    return packed.document_log_probabilities(log_probability_E, packed_batch).cpu()
