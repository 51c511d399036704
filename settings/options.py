"""Options that are passed on to other libraries, checked against the classes that take them.

Importing these classes takes seconds, so a flow does this in a process of its own, and only before a stage that trains:
python -m settings.options, in the folder of params.yaml.
"""

import sys
import tempfile
from pathlib import Path

import torch

from arrange.base_models.settings import Scratch
from arrange.decoding.validation import LOGGED
from arrange.errors import UserError
from arrange.models import ranker as models
from arrange.training.arguments import MACHINE, check_arguments, training_arguments
from arrange.training.mining import check_steps
from arrange.training.terms import UNMINED, Mined
from settings import params
from settings.entries import having
from settings.explain import nearest
from settings.sections import Settings


class SomeTokens:
    """What a configuration must know of a tokenizer, before there is one."""

    bos_token_id, eos_token_id, pad_token_id = 1, 2, 0

    def __len__(self) -> int:
        return 300


def check(settings: Settings) -> None:
    """Raise UserError for an option of a `shape`, `lora` or `arguments` that is unknown, of another type, or refused.

    What depends on the machine that trains, the data or a pretrained model is left to the stages.
    """
    finetune = settings.finetune
    if finetune.lora is not None:
        models.lora_config(finetune.lora)
    shapes = {name: entry.shape for name, entry in settings.base_models.items() if isinstance(entry, Scratch)}
    for name, shape in shapes.items():
        with torch.device("meta"):  # models without memory
            model = models.from_scratch(shape, SomeTokens(), 64, 0, f"base_models.{name}.shape")
            if finetune.lora is not None and finetune.model == f"base_models/{name}":
                models.with_lora(model, finetune.lora, 0)
    check_arguments(finetune.arguments, "finetune.arguments")
    check_training(finetune.arguments, "finetune.arguments")
    for where, entry in having(settings, "loss", "arguments").items():
        mined = settings.losses[entry.loss].mined
        if entry.arguments or mined.documents:
            check_arguments(entry.arguments, f"{where}.arguments")
            check_training({**finetune.arguments, **entry.arguments}, f"{where}.arguments", mined)


def check_training(arguments: dict[str, object], where: str, mined: Mined = UNMINED) -> None:
    """Raise UserError for arguments that make no training together, and for a metric that validation does not give.

    Without steps there is no training.
    """
    if not arguments["max_steps"]:
        return
    anywhere = {name: value for name, value in arguments.items() if name not in MACHINE}
    with tempfile.TemporaryDirectory() as unused:
        checked = training_arguments(anywhere, Path(unused), 0, where)
    check_steps(checked, mined, where)
    metric, valid = checked.metric_for_best_model, ["loss", *LOGGED]
    if metric is not None and metric.removeprefix("eval_") not in valid:
        raise UserError(f"{where}.metric_for_best_model is {metric!r}", nearest(metric, valid))


if __name__ == "__main__":
    try:
        check(params.read())
    except UserError as error:
        print(error)
        sys.exit(1)
