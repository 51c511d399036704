"""Stage `prepare_model`: a local folder of a base model, from which trainings start."""

from pathlib import Path

from arrange.base_models.prepare import prepare
from settings import params


def prepare_model(name: str) -> None:
    """The entry base_models.<name> -> base_models/<name>/: weights and tokenizer, or the shape of random weights."""
    prepare(params.read().base_models[name], Path("base_models", name))
