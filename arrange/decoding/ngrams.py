"""Beam search over the n-grams of a corpus: every result is an n-gram that some document has.

The index of all n-grams (`arrange.docids.ngrams`) says which tokens may come next. An n-gram is a result at every
length: the beams of all steps are, not those of the last step alone. So a search of K beams finds K n-grams of each
length, with their log-probabilities under the model. The separator, which every document has, is no result by itself.

B queries, S beams of a query, C candidates (all children of all beams), A tokens appended so far, V the vocabulary.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from arrange.decoding.beam import check_search, with_themselves
from arrange.docids.ngrams import NgramIndex
from arrange.errors import UserError
from arrange.models.head import head_of
from arrange.models.prompt_cache import Context, open_context


class Ngram(NamedTuple):
    """An n-gram of the corpus: its tokens, its range in the index, and log P(n-gram | prompt) in nats.

    beam: at search, which of the last step's beams it continues.
    """

    tokens: tuple[int, ...]
    first: int
    end: int
    log_p: float
    beam: int = 0


def search(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    index: NgramIndex,
    *,
    beams: int,
    batch_size: int,
    progress: Callable[[int], object] = lambda done: None,
) -> list[list[Ngram]]:
    """The n-grams that the model gives each prompt: those of one step best first, the shorter ones before.

    model: a causal language model, put into evaluation mode; probabilities are those over its whole vocabulary. Of a
    step's candidates, those among the `beams` best that end a document are results, and the `beams` best of the others
    are and go on. Ties go to the better beam, then to the lower token.
    Raises UserError as `beam_search` does, and for a model whose scores are no numbers.
    """
    check_search(prompts, beams)
    model.eval()
    found: list[list[Ngram]] = []
    for start in range(0, len(prompts), batch_size):
        batch = prompts[start : start + batch_size]
        with torch.inference_mode():
            found += _search(model, open_context(model, batch), index, beams)
        progress(len(found))
    return found


def _search(model: PreTrainedModel, context: Context, index: NgramIndex, beams: int) -> list[list[Ngram]]:
    """The results of one batch."""
    head, state_BSH = head_of(model), context.last_BH[:, None]
    found: list[list[Ngram]] = [[] for _ in context.last_BH]
    alive = [[Ngram((), 0, len(index.place_S), 0.0)] for _ in found]
    sees_BSA = torch.zeros(len(found), 1, 0, dtype=torch.bool, device=state_BSH.device)
    for depth in range(index.length):
        if depth:
            sees_BSA = with_themselves(_of_parents(sees_BSA, alive))
            depth_1 = torch.full((1,), depth - 1, device=state_BSH.device)
            state_BSH = context.extend(_last_tokens(alive, state_BSH.device), depth_1, sees_BSA)
        log_p_BSV = head.all(state_BSH.flatten(0, 1)).log_softmax(-1).view(*state_BSH.shape[:2], -1)
        steps = [_step(*each, index, depth, beams) for each in zip(alive, log_p_BSV.cpu(), strict=True)]
        for results, (ended, alive_S) in zip(found, steps, strict=True):
            results += sorted([*ended, *alive_S], key=lambda ngram: -ngram.log_p)
        alive = [alive_S for _, alive_S in steps]
        if not any(alive):
            break
    alone = (index.separator,)
    return [[ngram for ngram in results if ngram.tokens != alone] for results in found]


def _step(
    alive: Sequence[Ngram], log_p_SV: torch.Tensor, index: NgramIndex, depth: int, beams: int
) -> tuple[list[Ngram], list[Ngram]]:
    """Of a query's next candidates those among the best that end a document, and the best of those that go on."""
    if not alive:
        return [], []
    first_S, end_S = (np.array([ngram[at] for ngram in alive]) for at in (1, 2))
    row_C, token_C, first_C, end_C = index.children(first_S, end_S, depth)
    score_C = np.array([ngram.log_p for ngram in alive])[row_C] + log_p_SV[row_C, token_C].double().numpy()
    if np.isnan(score_C).any():
        raise UserError(
            "n-grams: the model gives scores that are no numbers (nan)",
            "train it again with a lower learning rate or a longer warm-up",
        )
    order_C = np.argsort(-score_C, kind="stable")
    ends_C = (token_C == index.separator) & (depth > 0)
    goes_on_K = order_C[~ends_C[order_C]][:beams]
    ended_K = order_C[:beams][ends_C[order_C[:beams]]]

    def ngrams(at_K: NDArray[np.int64]) -> list[Ngram]:
        return [
            Ngram((*alive[row].tokens, token), first, end, score, row)
            for row, token, first, end, score in zip(
                *(each_C[at_K].tolist() for each_C in (row_C, token_C, first_C, end_C, score_C)), strict=True
            )
        ]

    return ngrams(ended_K), ngrams(goes_on_K)


def _last_tokens(alive: Sequence[Sequence[Ngram]], device: torch.device) -> torch.Tensor:
    """The last token of each query's beams, B x S; 0 where a query has fewer."""
    width = max(map(len, alive))
    rows = [[*(ngram.tokens[-1] for ngram in of_query), *[0] * (width - len(of_query))] for of_query in alive]
    return torch.tensor(rows, device=device)


def _of_parents(sees_BSA: torch.Tensor, alive: Sequence[Sequence[Ngram]]) -> torch.Tensor:
    """What the beams see of the tokens before them: what the beam sees that each continues."""
    width = max(map(len, alive))
    rows = [[*(ngram.beam for ngram in of_query), *[0] * (width - len(of_query))] for of_query in alive]
    parent_BS = torch.tensor(rows, device=sees_BSA.device)
    return sees_BSA.gather(1, parent_BS[..., None].expand(-1, -1, sees_BSA.shape[2]))
