"""The ranker: a causal language model that spells docIDs, and the probability it gives them."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedModel
from transformers.utils.logging import disable_progress_bar

from arrange.errors import UserError

IGNORED = -100  # the label of a position that has no loss, as everywhere in transformers


def from_scratch(
    *,
    vocabulary_size: int,
    hidden_size: int,
    layers: int,
    heads: int,
    max_positions: int,
    bos_token_id: int,
    eos_token_id: int,
    pad_token_id: int,
    seed: int,
) -> LlamaForCausalLM:
    """A small Llama with random weights; the same seed gives the same weights.

    Input and output embeddings are tied; the feed-forward layers are 8/3 hidden sizes wide (Touvron et
    al. 2023), so that a layer has about 12 hidden_size^2 parameters.
    """
    config = LlamaConfig(
        vocab_size=vocabulary_size,
        hidden_size=hidden_size,
        intermediate_size=8 * hidden_size // 3,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        max_position_embeddings=max_positions,
        tie_word_embeddings=True,
        bos_token_id=bos_token_id,
        eos_token_id=eos_token_id,
        pad_token_id=pad_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return LlamaForCausalLM(config)


def save(model: PreTrainedModel, folder: Path) -> None:
    """Write model.safetensors, config.json and generation_config.json into a folder."""
    disable_progress_bar()
    model.save_pretrained(folder)


def load(folder: Path) -> PreTrainedModel:
    """The model that was saved in a local folder, in evaluation mode; nothing is downloaded.

    Raises UserError where the folder holds no whole model.
    """
    disable_progress_bar()
    try:
        if not folder.is_dir():
            raise FileNotFoundError(f"no folder {folder}")
        return AutoModelForCausalLM.from_pretrained(folder, local_files_only=True).eval()
    except Exception as error:  # whatever json, safetensors or transformers raise on broken files
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"{folder}: cannot load a model: {reason}", "train it again, or give its right folder"
        ) from error


def docid_log_probabilities(model: PreTrainedModel, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """log P(docID | prompt) of each row of a batch: the sum of its tokens' log-probabilities, shape B.

    `batch` is what `arrange.ranking.examples.collate` returns. The output layer is applied at the docIDs'
    positions alone, which saves most of its cost; this takes a model whose logits are its output layer
    of its last hidden state (Llama, Mistral, Qwen, GPT-2; not Gemma 2, which caps them after).
    """
    hidden_BLH = model.base_model(
        input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False
    ).last_hidden_state
    next_BL = batch["labels"][:, 1:]
    is_docid_BL = next_BL != IGNORED
    logits_NV = model.get_output_embeddings()(hidden_BLH[:, :-1][is_docid_BL])
    losses_N = cross_entropy(logits_NV, next_BL[is_docid_BL], reduction="none")
    return (
        -torch.zeros(next_BL.shape, dtype=losses_N.dtype, device=losses_N.device)
        .masked_scatter(is_docid_BL, losses_N)
        .sum(dim=1)
    )
