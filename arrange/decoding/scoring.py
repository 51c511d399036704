"""The log-probability of a next token, under one of the normalisers of `arrange.models.normaliser`.

For a sub-catalogue, `docid_tokens` are still the tokens of the whole trie; `children` are those of the sub-catalogue.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import get_args

import torch
from torch import Tensor
from transformers import PreTrainedModel

from arrange.docids.trie import Trie
from arrange.errors import UserError
from arrange.models.head import Head, head_of
from arrange.models.normaliser import Normaliser, temperature_of

LOGITS = 2**23  # logits held in memory at a time
# A candidate alone costs a copy of its row of the output matrix, so many times as much as in a product with all rows.
COPY_COST = 16


class Scorer:
    """The log-probabilities of tokens under one normaliser."""

    def __init__(self, model: PreTrainedModel, trie: Trie, normaliser: Normaliser) -> None:
        """Raises UserError for an unknown normaliser and for a trie with tokens that the model does not have."""
        if normaliser not in get_args(Normaliser):
            raise UserError(f"normaliser {normaliser!r}", f"give one of {', '.join(get_args(Normaliser))}")
        token_C, size = (
            torch.from_numpy(trie.distinct_tokens).to(model.device),
            model.config.get_text_config().vocab_size,
        )
        if int(token_C[-1]) >= size:
            raise UserError(
                f"the trie has token {int(token_C[-1])}, the model has {size}", "build the trie with its tokenizer"
            )
        self.normaliser, self.whole, self.token_C = normaliser, head_of(model), token_C
        self.temperature = temperature_of(model.config)  # of `children`

    @cached_property
    def narrow(self) -> tuple[Head, Tensor]:
        """The head for the tokens of docIDs, and the column of each token in it."""
        size = int(self.token_C[-1]) + 1
        if self.normaliser == "vocabulary" or (self.normaliser == "children" and 2 * len(self.token_C) > size):
            return self.whole, torch.arange(size, device=self.token_C.device)  # a copy costs more than it saves
        column_V = torch.zeros(size, dtype=torch.int64, device=self.token_C.device)
        column_V[self.token_C] = torch.arange(len(self.token_C), device=self.token_C.device)
        return self.whole.of_tokens(self.token_C), column_V

    def padded(self, state_RH: Tensor, token_RW: Tensor, legal_RW: Tensor) -> Tensor:
        """log p of W candidates after each of R states; -inf where not legal. R x W."""
        rows, width = token_RW.shape
        row_N = torch.arange(rows * width, device=token_RW.device) // width
        score_N = self._scores(state_RH, row_N, token_RW.flatten(), range(0, rows * width + 1, width))
        score_RW = score_N.view(rows, width).masked_fill(~legal_RW, -torch.inf)
        if self.normaliser != "children":
            return score_RW
        # A row without a legal candidate stays -inf; its log-softmax would be nan.
        return (score_RW / self.temperature).log_softmax(-1).masked_fill(~legal_RW, -torch.inf)

    def ragged(self, state_RH: Tensor, row_N: Tensor, token_N: Tensor) -> Tensor:
        """log p of N candidates, row_N (rising) the state of each. All legal candidates of a state must be given."""
        begin_R1 = [0, *row_N.bincount(minlength=len(state_RH)).cumsum(0).tolist()]
        score_N = self._scores(state_RH, row_N, token_N, begin_R1)
        if self.normaliser != "children":
            return score_N
        score_N = score_N / self.temperature
        top_R = score_N.new_full((len(state_RH),), -torch.inf).scatter_reduce(0, row_N, score_N, "amax")
        sum_R = score_N.new_zeros(len(state_RH)).index_add(0, row_N, (score_N - top_R[row_N]).exp())
        return score_N - (top_R + sum_R.log())[row_N]

    def _scores(self, state_RH: Tensor, row_N: Tensor, token_N: Tensor, begin_R1: Sequence[int]) -> Tensor:
        """Logits for `children`, log-probabilities for the others. The candidates of a state begin at begin_R1."""
        few = len(token_N) * COPY_COST < len(state_RH) * len(self.token_C)
        if self.normaliser == "children" and few:
            return self.whole.at(state_RH, row_N, token_N)
        head, column_V = self.narrow
        column_N = column_V[token_N]
        step = max(1, LOGITS // head.columns(state_RH))
        parts = []
        for start in range(0, len(state_RH), step):
            end = min(start + step, len(state_RH))
            logits_RC = head.all(state_RH[start:end])
            if self.normaliser != "children":
                logits_RC = logits_RC.log_softmax(-1)
            these = slice(begin_R1[start], begin_R1[end])
            parts.append(logits_RC[row_N[these] - start, column_N[these]])
        return torch.cat(parts)
