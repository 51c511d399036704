"""Beam search without a trie: how many of the sequences that the model prefers are no docIDs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from arrange.decoding.beam import check_search
from arrange.decoding.hf import Walker
from arrange.docids.trie import Trie
from arrange.errors import UserError


@dataclass(frozen=True, eq=False)
class FreeSequences:
    """The K most probable sequences that beam search found for each of B queries, best first.

    valid_BK: whether a sequence is a docID. sums_BK: its summed log-probability (nats).
    """

    valid_BK: NDArray[np.bool_]
    sums_BK: NDArray[np.float64]

    def invalid_share(self) -> NDArray[np.float64]:
        """The share of each query's sequences that are no docIDs. Shape B."""
        return 1 - self.valid_BK.mean(1)

    def invalid_mass(self) -> NDArray[np.float64]:
        """The probability of each query's sequences that are no docIDs: a lower bound for that of all. Shape B."""
        return (np.exp(self.sums_BK) * ~self.valid_BK).sum(1)

    def valid_mass(self) -> NDArray[np.float64]:
        """The probability of each query's sequences that are docIDs. Shape B."""
        return (np.exp(self.sums_BK) * self.valid_BK).sum(1)


def unconstrained_search(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    trie: Trie,
    *,
    beams: int,
    batch_size: int,
    end_token_id: int,
    pad_token_id: int,
) -> FreeSequences:
    """The first `beams` sequences of Hugging Face's beam search, no longer than the longest docID.

    A sequence ends with `end_token_id`. One that has no end token within that length is no docID.
    Raises UserError for fewer than 2 beams, for no prompts and for an empty one.
    """
    check_search(prompts, beams)
    if beams < 2 or not len(prompts):
        raise UserError(f"a beam search of {beams} beams for {len(prompts)} prompts", "give 2 beams, 1 prompt at least")
    model.eval()
    walker = Walker(trie.on(model.device))
    valid, sums = [], []
    for start in range(0, len(prompts), batch_size):
        batch = prompts[start : start + batch_size]
        token_RL, mask_RL = _left_padded(batch, pad_token_id, model.device)
        output = model.generate(  # type: ignore[operator]
            token_RL,
            attention_mask=mask_RL,
            num_beams=beams,
            num_return_sequences=beams,
            max_new_tokens=len(trie.max_children_by_depth) - 1,
            length_penalty=0.0,
            do_sample=False,
            early_stopping=False,
            eos_token_id=end_token_id,
            pad_token_id=pad_token_id,
            output_scores=True,
            return_dict_in_generate=True,
        )
        valid.append(_is_docid(walker, output.sequences[:, token_RL.shape[1] :]).view(len(batch), beams))
        sums.append(output.sequences_scores.view(len(batch), beams))
    return FreeSequences(torch.cat(valid).cpu().numpy(), torch.cat(sums).cpu().double().numpy())


def _is_docid(walker: Walker, token_RT: Tensor) -> Tensor:
    """Whether each row begins with a whole docID; after its end token there is only padding."""
    node_R = torch.zeros(len(token_RT), dtype=torch.int64, device=token_RT.device)
    whole_R = torch.zeros_like(node_R, dtype=torch.bool)
    for token_R in token_RT.T:
        node_R = walker.child(node_R, token_R)
        whole_R |= (node_R >= 0) & walker.trie.is_leaf(node_R)
    return whole_R


def _left_padded(prompts: Sequence[Sequence[int]], pad_token_id: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask, the prompts' ends aligned."""
    width = max(map(len, prompts))
    ids = [[pad_token_id] * (width - len(prompt)) + list(prompt) for prompt in prompts]
    mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)
