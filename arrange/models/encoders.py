"""Encoders: from the tokens of a text to one vector.

B texts of a batch, L tokens of the longest, H hidden numbers of a transformer, N numbers of a vector.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from arrange.errors import UserError
from arrange.models import pretrained


class Encoder(nn.Module):
    """A transformer `body`, and `pool`, which makes one vector of `width` numbers of its hidden states."""

    def __init__(self, body: PreTrainedModel, width: int) -> None:
        super().__init__()
        self.body = body
        self.width = width

    def pool(self, hidden_BLH: Tensor, attention_mask_BL: Tensor) -> Tensor:
        """One vector per text, B x N, of its tokens' hidden states."""
        raise NotImplementedError

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """The vectors (B x N) of a batch (B x L, int64, attention_mask 0 where padded)."""
        hidden_BLH = self.body(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return self.pool(hidden_BLH, attention_mask)

    def batch(self, texts: Sequence[Sequence[int]]) -> dict[str, Tensor]:
        """Token lists as what `forward` takes, padded on the right."""
        tokens = [torch.tensor(text) for text in texts]
        ones = [torch.ones_like(text) for text in tokens]
        filler = self.body.config.get_text_config().pad_token_id or 0
        return {
            "input_ids": pad_sequence(tokens, batch_first=True, padding_value=filler),
            "attention_mask": pad_sequence(ones, batch_first=True),
        }

    @torch.no_grad()
    def vectors(
        self,
        texts: Sequence[Sequence[int]],
        batch_size: int = 64,
        progress: Callable[[int], object] = lambda done: None,
    ) -> Tensor:
        """The vectors of all texts in evaluation mode, T x N, on the encoder's device."""
        self.eval()
        by_length_T = torch.tensor([len(text) for text in texts]).argsort(stable=True)  # so that a batch pads little
        parts = []
        for rows in by_length_T.split(batch_size):
            batch = self.batch([texts[row] for row in rows])
            parts.append(self(**{name: tensor.to(self.body.device) for name, tensor in batch.items()}))
            progress(sum(map(len, parts)))
        return torch.cat(parts)[by_length_T.argsort().to(self.body.device)]


class LastToken(Encoder):
    """A linear layer on the hidden state of the last token, which in a causal model has seen all others."""

    def __init__(self, body: PreTrainedModel, width: int, seed: int) -> None:
        super().__init__(body, width)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.project = nn.Linear(body.config.hidden_size, width)

    def pool(self, hidden_BLH: Tensor, attention_mask_BL: Tensor) -> Tensor:
        last_B = attention_mask_BL.sum(dim=1) - 1
        return self.project(hidden_BLH[torch.arange(len(last_B), device=last_B.device), last_B])


class MeanPooled(Encoder):
    """The mean of the tokens' hidden states, scaled to length 1, as in sentence encoders."""

    def __init__(self, body: PreTrainedModel) -> None:
        super().__init__(body, body.config.get_text_config().hidden_size)

    def pool(self, hidden_BLH: Tensor, attention_mask_BL: Tensor) -> Tensor:
        mask_BL1 = attention_mask_BL[:, :, None].to(hidden_BLH.dtype)
        return normalize((hidden_BLH * mask_BL1).sum(dim=1) / mask_BL1.sum(dim=1), dim=1)


def free_vectors(count: int, width: int, seed: int, scale: float) -> Tensor:
    """`count` random vectors of normally distributed numbers times `scale`: initial embeddings of documents.

    A dual encoder learns best from a small scale, 0.02: with a larger one its scores, divided by a temperature of 0.05,
    would be far apart from the start. The MLP of a cross encoder learns best from 1, which keeps documents distinct.
    """
    return scale * torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def by_name(name: str) -> tuple[PreTrainedTokenizerBase, MeanPooled]:
    """An encoder of a local folder or of a name on the hub, with its tokenizer.

    Raises UserError where it can't be had or lacks weights, and for an encoder with a decoder behind it.
    """
    tokenizer = pretrained.load("tokenizer", name, AutoTokenizer.from_pretrained)
    body = pretrained.load(
        "model",
        name,
        AutoModel.from_pretrained,
        may_lack=lambda _, weight: "pooler." in weight,  # no vector is made of it
        without="give an encoder's folder or name, whole",
        dtype=torch.float32,
    )
    if body.config.is_encoder_decoder:
        raise UserError(f"model {name!r} ({body.config.model_type}) has a decoder too", "take an encoder alone")
    return tokenizer, MeanPooled(body)


def encode(tokenizer: PreTrainedTokenizerBase, texts: list[str], max_tokens: int) -> list[list[int]]:
    """The texts as an encoder's own tokenizer gives them, special tokens included, cut to `max_tokens`."""
    return tokenizer(texts, truncation=True, max_length=max_tokens)["input_ids"]
