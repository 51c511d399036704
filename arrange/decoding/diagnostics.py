"""How well beam search did for a model: what it missed, and what the model would say outside the catalogue."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from transformers import PreTrainedModel

from arrange.decoding.beam import beam_search
from arrange.decoding.exact import best_first
from arrange.decoding.ranking import beam_recall
from arrange.decoding.scoring import Normaliser
from arrange.decoding.unconstrained import search_freely
from arrange.docids.trie import Trie


def diagnose(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    trie: Trie,
    *,
    beams: int,
    batch_size: int,
    normaliser: Normaliser,
    end_token_id: int,
    pad_token_id: int,
) -> dict[str, float | None]:
    """Means over the prompts, as plain numbers.

    beam_recall: share of the exact top `beams` documents that beam search finds; proven: share of queries whose
    exact answer was proven within best-first search's budget. Of the others the recall is against its best guess; where
    it has none (a model that has learnt nothing prefers every short prefix to a whole docID) the query is left out, and
    beam_recall is None where all are.
    outside: probability off the catalogue, a lower bound (`Ranking.outside`). invalid_share, invalid_mass: of the
    `beams` best sequences of an unconstrained beam search, those that are no docIDs, and their probability.
    """
    found = beam_search(model, prompts, trie, beams=beams, batch_size=batch_size, normaliser=normaliser)
    exact = best_first(model, prompts, trie, k=beams, normaliser=normaliser)
    free = search_freely(
        model,
        prompts,
        trie,
        beams=max(2, beams),
        batch_size=batch_size,
        end_token_id=end_token_id,
        pad_token_id=pad_token_id,
    )
    guessed = [(mine, true.ranking) for mine, true in zip(found, exact, strict=True) if len(true.ranking.documents_K)]
    values: dict[str, Any] = {
        "beam_recall": beam_recall(*zip(*guessed, strict=True)) if guessed else [],
        "proven": [answer.proven for answer in exact],
        "outside": [ranking.outside for ranking in found],
        "invalid_share": free.invalid_share(),
        "invalid_mass": free.invalid_mass(),
    }
    means = {name: round(float(np.mean(value)), 6) if len(value) else None for name, value in values.items()}
    return {"queries": len(prompts), **means}
