"""Search diagnostics: what beam search missed, and how much the model would generate outside the catalogue."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from transformers import PreTrainedModel

from arrange.decoding.beam import beam_search
from arrange.decoding.exact import best_first
from arrange.decoding.top_documents import beam_recall
from arrange.decoding.unconstrained import unconstrained_search
from arrange.docids.trie import Trie
from arrange.models.normaliser import Normaliser


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
    """Means over the prompts, as plain numbers, and `queries`, the number of prompts.

    proven: share of queries whose exact top documents best-first search proved within its budget.
    beam_recall: share of the exact top `beams` documents that beam search finds. Where they are not proven, the best
    that best-first search has counts. A query for which it has no document is left out (a model that has learnt nothing
    prefers every short prefix to a whole docID). None if all queries are left out.
    outside: probability outside the catalogue, a lower bound (`TopDocuments.outside`).
    invalid_share, invalid_mass: the share of the `beams` best sequences of an unconstrained beam search that are no
    docIDs, and their probability.
    """
    searched = beam_search(model, prompts, trie, beams=beams, batch_size=batch_size, normaliser=normaliser)
    exact = best_first(model, prompts, trie, k=beams, normaliser=normaliser)
    free = unconstrained_search(
        model,
        prompts,
        trie,
        beams=max(2, beams),
        batch_size=batch_size,
        end_token_id=end_token_id,
        pad_token_id=pad_token_id,
    )
    pairs = [(mine, true.top) for mine, true in zip(searched, exact, strict=True) if len(true.top.documents_K)]
    values: dict[str, Any] = {
        "beam_recall": beam_recall(*zip(*pairs, strict=True)) if pairs else [],
        "proven": [search.proven for search in exact],
        "outside": [top.outside for top in searched],
        "invalid_share": free.invalid_share(),
        "invalid_mass": free.invalid_mass(),
    }
    means = {name: round(float(np.mean(value)), 6) if len(value) else None for name, value in values.items()}
    return {"queries": len(prompts), **means}
