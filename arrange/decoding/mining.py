"""Mining: the documents that a model in training ranks first, for `arrange.training.mining`."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedModel

from arrange.decoding.beam import beam_search
from arrange.decoding.settings import Decoding
from arrange.docids.trie import Trie
from arrange.training.examples import Examples, prompt_of


def mine(
    model: PreTrainedModel,
    queries: Sequence[int],
    *,
    examples: Examples,
    trie: Trie,
    documents: int,
    decoding: Decoding,
) -> list[NDArray[np.int64]]:
    """Rows of the documents that beam search finds for some of the examples' queries, best first.

    documents: the width of the search, and how many it finds. decoding: its batch size and normaliser.
    """
    prompts = [prompt_of(examples, query) for query in queries]
    search = decoding.search() | {"beams": documents}
    return [top.documents_K for top in beam_search(model, prompts, trie, **search)]
