"""The ranker: a causal language model, with random weights or pretrained."""

from collections.abc import Mapping, Sequence, Sized
from dataclasses import fields
from pathlib import Path
from typing import Any, Protocol, get_type_hints

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.utils.logging import disable_progress_bar

from arrange.base_models.prepare import shape_of
from arrange.errors import UserError
from arrange.models import options, pretrained
from arrange.models.prompt_cache import takes_trees


class Special(Protocol):
    """What a model needs of a tokenizer."""

    bos_token_id: Any
    eos_token_id: Any
    pad_token_id: Any

    def __len__(self) -> int: ...


NO_SHAPE = {  # of a configuration, why
    **dict.fromkeys(("vocab_size", "bos_token_id", "eos_token_id", "pad_token_id"), "the tokenizer decides"),
    **dict.fromkeys((field.name for field in fields(PreTrainedConfig)), "it is no part of a model's shape"),
    "use_cache": "it is no part of a model's shape",
}
NO_ADAPTER = {  # of peft.LoraConfig, why
    **dict.fromkeys(
        ("task_type", "peft_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision"),
        "the model to finetune decides",
    ),
    **dict.fromkeys(("inference_mode", "runtime_config"), "the adapters are trained"),
    **dict.fromkeys(("megatron_config", "megatron_core"), "the model is one of transformers, not of Megatron"),
    "alora_invocation_tokens": "adapters are merged into the weights when they are saved",
}
REFUSALS = (KeyError, TypeError, ValueError, RuntimeError, ImportError, StrictDataclassError)


def from_scratch(
    shape: Mapping[str, Any], tokenizer: Special, positions: int, seed: int, where: str = "scratch"
) -> PreTrainedModel:
    """A causal language model with random weights; the same seed gives the same weights.

    `shape`: `model_type` and options of that type's configuration in transformers, say
    {"model_type": "llama", "hidden_size": 96}. The vocabulary is the tokenizer's; a sequence may have `positions`
    tokens; input and output embeddings are tied unless `shape` says otherwise. Raises UserError, which names the
    section `where`, for a shape that transformers refuses, and for a model that takes no trees.
    """
    fitting = {
        "vocab_size": len(tokenizer),
        "max_position_embeddings": positions,
        "tie_word_embeddings": True,
        **{name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")},
    }
    try:
        _check_shape(shape, where)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**fitting | dict(shape)))
    except REFUSALS as error:
        reason = " ".join(str(error).partition(". Should contain")[0].split())[:200]
        raise UserError(f"{where}: no model of this shape: {reason}", "mend it; its keys are model_type's") from None
    return model if model.device.type == "meta" else _taking_trees(model)


def _check_shape(shape: Mapping[str, Any], where: str) -> None:
    """Raise UserError for an option that the configuration of `model_type` has not, or that is no shape."""
    defaults = AutoConfig.for_model(shape["model_type"])
    names = {"model_type", *(field.name for field in fields(defaults)), *defaults.attribute_map}
    # of another type: the configuration says so itself
    options.check(shape, where, shape["model_type"], dict.fromkeys(names, Any), NO_SHAPE)


def from_base(base: Path, tokenizer: PreTrainedTokenizerFast, positions: int, seed: int) -> PreTrainedModel:
    """The ranker that a training starts from, of the folder of a base model; arguments and errors as `from_scratch`."""
    shape = shape_of(base)
    if shape is not None:
        return from_scratch(shape, tokenizer, positions, seed, f"{base}")
    return by_name(str(base), tokenizer, seed)


def new_tokens(base: Path, tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """The tokens of a catalogue that the base model's own tokenizer lacks.

    None for a model with random weights, nor for a ranker, which was trained with the catalogue and has no tokenizer.
    """
    if shape_of(base) is not None or not (base / "tokenizer_config.json").exists():
        return []
    known = pretrained.load("tokenizer", str(base), AutoTokenizer.from_pretrained).get_vocab()
    return sorted(id_ for token, id_ in tokenizer.get_vocab().items() if token not in known)


def by_name(name: str, tokenizer: Sized, seed: int) -> PreTrainedModel:
    """A causal language model from a local folder or the hub, with rows for all tokens of `tokenizer`.

    Tokens that are new to it (codes of docIDs) get random embeddings, drawn like the old ones, the same for the same
    seed. They differ from each other from the start; the mean of all, which transformers would give, tells none apart.
    Raises UserError if the weights can't be loaded, and for a model that takes no trees.
    """
    model: PreTrainedModel = pretrained.load("model", name, AutoModelForCausalLM.from_pretrained, dtype=torch.float32)
    if len(tokenizer) > len(model.get_input_embeddings().weight):  # type: ignore[arg-type]
        _grow(model, len(tokenizer), seed)
    return _taking_trees(model)


@torch.no_grad()
def _grow(model: PreTrainedModel, tokens: int, seed: int) -> None:
    """Give the model rows for `tokens` tokens; the new ones have the old ones' mean and spread in each dimension."""
    old = len(model.get_input_embeddings().weight)  # type: ignore[arg-type]
    model.config.new_rows_seed = seed  # for `arrange.models.adapters`, which draws them again
    model.resize_token_embeddings(tokens, mean_resizing=False)
    for number, layer in enumerate((model.get_input_embeddings(), model.get_output_embeddings())):
        if number and model.config.get_text_config().tie_word_embeddings:
            continue  # one matrix for both
        rows_VH: Any = layer.weight
        generator = torch.Generator().manual_seed(2 * seed + number)
        noise = torch.randn(tokens - old, rows_VH.shape[1], generator=generator)
        rows_VH[old:] = rows_VH[:old].mean(0) + rows_VH[:old].std(0) * noise


def _taking_trees(model: PreTrainedModel) -> PreTrainedModel:
    """The model. Raises UserError unless the packed pass is exact with it."""
    if not takes_trees(model):
        what = f"{model.config.model_type}: a token's state in a tree is not its state in a sequence of its own"
        raise UserError(what, "take a model with plain attention: Llama, Qwen, Mistral, Gemma, GPT-2, ...")
    return model


def without_adapters(ranker: torch.nn.Module) -> PreTrainedModel:
    """The language model itself, without what peft has put around it."""
    return ranker.get_base_model() if hasattr(ranker, "get_base_model") else ranker  # type: ignore


def with_lora(
    model: PreTrainedModel,
    adapters: Mapping[str, Any] | None,
    seed: int,
    new: Sequence[int] = (),
    where: str = "finetune.lora",
) -> torch.nn.Module:
    """The model with low-rank adapters (Hu et al. 2022) to train in place of its weights.

    `adapters`: options of `peft.LoraConfig`; {} takes its defaults, None leaves the model as it is. new: tokens that
    are new to the model (codes of docIDs). Their embeddings are trained as well: adapters alone would leave them as
    they were drawn. Raises UserError, which names the section `where`, if peft refuses the options.
    """
    if adapters is None:
        return model
    if new:
        adapters = {"trainable_token_indices": list(new), **adapters}
    from peft import get_peft_model  # here: it takes a second to import

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = lora_config(adapters, where)
        try:
            return get_peft_model(model, config)
        except REFUSALS as error:
            raise UserError(
                f"{where}: {' '.join(str(error).split())}", "mend it: its keys are those of peft.LoraConfig"
            ) from None


def lora_config(adapters: Mapping[str, Any], where: str = "finetune.lora") -> Any:
    """The `peft.LoraConfig` of these options. Raises UserError, which names `where`, for one that it has not."""
    from peft import LoraConfig

    types = get_type_hints(LoraConfig)
    options.check(adapters, where, "peft.LoraConfig", types, NO_ADAPTER)
    try:
        return LoraConfig(task_type="CAUSAL_LM", **adapters)
    except REFUSALS as error:
        raise UserError(
            f"{where}: {' '.join(str(error).split())}", "mend it: its keys are those of peft.LoraConfig"
        ) from None


def no_number(model: torch.nn.Module) -> str:
    """The name of the first weights that are not all numbers (nan or infinite); "" if all are."""
    return next((name for name, weight in model.named_parameters() if not weight.isfinite().all()), "")


def save(model: torch.nn.Module, folder: Path) -> None:
    """Write model.safetensors, config.json and generation_config.json into a folder; adapters are merged first."""
    disable_progress_bar()
    whole: Any = model.merge_and_unload() if hasattr(model, "merge_and_unload") else model  # type: ignore[operator]
    whole.save_pretrained(folder)


def load_for_ranking(folder: Path) -> PreTrainedModel:
    """The model that `load` gives, on the GPU if there is one."""
    model: Any = load(folder)  # `to` is wrapped, and loses its types
    return model.to("cuda" if torch.cuda.is_available() else "cpu")


def load(folder: Path) -> PreTrainedModel:
    """The model that was saved in a local folder, in evaluation mode. Downloads nothing, opens no pickle.

    Raises UserError where the folder holds no whole model, and where a weight is no number.
    """
    disable_progress_bar()
    try:
        if not folder.is_dir():
            raise FileNotFoundError(f"no folder {folder}")
        read: Any = AutoModelForCausalLM.from_pretrained  # typed as if it always gave a model alone
        loaded, info = read(folder, local_files_only=True, use_safetensors=True, output_loading_info=True)
    except Exception as error:  # whatever json, safetensors or transformers raise on broken files
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"{folder}: cannot load a model: {reason}", "train it again, or give its right folder"
        ) from error
    if missing := sorted(info["missing_keys"]):  # transformers would draw them at random
        what = f"{folder}: the model has no weights {missing[0]} ({len(missing)} are not there)"
        raise UserError(what, "train it again, or give its right folder")
    return checked(loaded.eval(), folder)


def checked(loaded: PreTrainedModel, folder: Path) -> PreTrainedModel:
    """The model that was read from a folder. Raises UserError where a weight is no number."""
    if name := no_number(loaded):
        what = f"{folder}: the weights {name} are not all numbers (nan or infinite), so the model ranks nothing"
        raise UserError(what, "train it again with a lower learning rate or a longer warm-up")
    return loaded
