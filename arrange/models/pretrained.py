"""Models and tokenizers by name: from a local folder, the hub's local cache, or the hub."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from transformers.utils.logging import disable_progress_bar

from arrange.errors import UserError

Loaded = TypeVar("Loaded")
PICKLES = "ARRANGE_PICKLES"  # the environment variable that, set to "yes", allows weights in pickles


def load(kind: str, name: str, loader: Callable[..., Loaded], **options: Any) -> Loaded:
    """`loader(name, **options)`, a `from_pretrained` of transformers.

    A model's weights must be safetensors. A pickle may run code when it is loaded, so the environment variable
    ARRANGE_PICKLES must allow it. `kind` is "model" or "tokenizer".
    Raises UserError, which says what was looked for and where, if it can't be loaded.
    """
    disable_progress_bar()
    if kind == "model" and os.environ.get(PICKLES) != "yes":
        options["use_safetensors"] = True
    try:
        return loader(name, **options)
    except Exception as error:  # whatever the hub's client, json, safetensors or tokenizers raise
        reason = str(error).strip().partition("\n")[0].partition(", and ")[0]
        if Path(name).is_dir():
            where, remedy = "in that folder", "give its right folder, or make it again"
        else:
            where, remedy = "as a folder, in the local cache and on the hub", "give a folder, or download it first"
        if "named model.safetensors" in reason:
            remedy = f"save it as safetensors; if you trust where its pickle comes from, {PICKLES}=yes loads that"
        raise UserError(f"no {kind} {name!r}, looked for {where}: {reason}", remedy) from None
