"""Models and tokenizers by name: from a local folder, the hub's local cache, or the hub."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils.logging import disable_progress_bar

from arrange.errors import UserError

Loaded = TypeVar("Loaded")
PICKLES = "ARRANGE_PICKLES"  # the environment variable that, set to "yes", allows weights in pickles


def load(
    kind: str,
    name: str,
    loader: Callable[..., Loaded],
    *,
    may_lack: Callable[[PreTrainedModel, str], bool] = lambda model, weight: False,
    without: str = "give a model of the kind that is wanted here, whole",
    **options: Any,
) -> Loaded:
    """`loader(name, **options)`, a `from_pretrained` of transformers.

    A model's weights must be safetensors. A pickle may run code when it is loaded, so the environment variable
    ARRANGE_PICKLES must allow it. `kind` is "model" or "tokenizer".
    may_lack: of a model and a weight's name, whether it may do without it. transformers draws such weights at random.
    Raises UserError, which says what was looked for and where, if it can't be loaded. For a weight that is not there
    and has to be, its second line is `without`.
    """
    disable_progress_bar()
    if kind == "model":
        options["output_loading_info"] = True
        if os.environ.get(PICKLES) != "yes":
            options["use_safetensors"] = True
    try:
        loaded: Any = loader(name, **options)
    except Exception as error:  # whatever the hub's client, json, safetensors or tokenizers raise
        reason = str(error).strip().partition("\n")[0].partition(", and ")[0]
        if Path(name).is_dir():
            where, remedy = "in that folder", "give its right folder, or make it again"
        else:
            where, remedy = "as a folder, in the local cache and on the hub", "give a folder, or download it first"
        if "named model.safetensors" in reason:
            remedy = f"save it as safetensors; if you trust where its pickle comes from, {PICKLES}=yes loads that"
        raise UserError(f"no {kind} {name!r}, looked for {where}: {reason}", remedy) from None
    if kind != "model":
        return loaded
    model, info = loaded
    if missing := sorted(weight for weight in info["missing_keys"] if not may_lack(model, weight)):
        raise UserError(f"model {name!r} has no weights {missing[0]} ({len(missing)} are not there)", without)
    return model


def most_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """How many tokens of a text, special ones included, the model reads at most."""
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return min(tokenizer.model_max_length, positions or tokenizer.model_max_length)
