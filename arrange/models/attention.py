"""Attention masks for trees of tokens, in the form that a Hugging Face causal language model takes.

A token of a tree sees the prompt, its ancestors and itself, and its position is the prompt's length plus its depth.
A mask of four dimensions replaces a model's own mask, its sliding windows too, so those are added here.
"""

import torch
from torch import Tensor
from transformers import PreTrainedConfig

from arrange.errors import UserError

KINDS = {"full_attention", "sliding_attention"}


def tree_mask(
    config: PreTrainedConfig, sees_BQK: Tensor, position_BQ: Tensor, position_BK: Tensor, dtype: torch.dtype
) -> Tensor | dict[str, Tensor]:
    """The value of `attention_mask` for a model, from what each token may see.

    sees_BQK: bool; every token must see something (padding may see itself).
    position_BQ, position_BK: positions of the queries (Q) and of the keys (K, cache included). A sliding window of w
    lets a token at position p see the positions p - w + 1 .. p of its own path.
    Returns B x 1 x Q x K: 0 where a token sees another, else the least number of `dtype`. For models whose layers
    differ (Gemma 2 and 3, Qwen): one such mask per kind of layer.
    Raises UserError for a model with layers other than plain attention.
    """
    text = config.get_text_config()
    kinds = {*(getattr(text, "layer_types", None) or []), *(getattr(text, "attention_layers", None) or [])} - {"global"}
    if not kinds <= KINDS or text._attn_implementation not in ("eager", "sdpa"):
        what = ", ".join(sorted(kinds - KINDS)) or text._attn_implementation
        raise UserError(f"{text.model_type}: {what} takes no tree mask", "load the model with plain attention (sdpa)")
    window = getattr(text, "sliding_window", None)
    full = _additive(sees_BQK, dtype)
    if window is None or kinds == {"full_attention"}:
        return full
    near_BQK = position_BQ[:, :, None] - position_BK[:, None, :] < window
    sliding = _additive(sees_BQK & near_BQK, dtype)
    return {"full_attention": full, "sliding_attention": sliding} if kinds else sliding


def _additive(sees_BQK: Tensor, dtype: torch.dtype) -> Tensor:
    mask = torch.zeros(sees_BQK.shape, dtype=dtype, device=sees_BQK.device)
    return mask.masked_fill_(~sees_BQK, torch.finfo(dtype).min)[:, None]
