"""Arguments that are passed on to transformers and peft, checked against the classes that take them.

Importing these classes takes seconds, so a flow does this in a process of its own, and only before a stage that trains:
python -m settings.options, in the folder of params.yaml.
"""

import sys
import tempfile
from pathlib import Path

from arrange.decoding.validation import LOGGED
from arrange.errors import UserError
from arrange.models import ranker as models
from arrange.training.arguments import MACHINE, training_arguments
from arrange.training.mining import check_steps
from arrange.training.terms import UNMINED, Mined
from settings import params
from settings.entries import having
from settings.explain import nearest
from settings.sections import Settings


def check(settings: Settings) -> None:
    """Raise UserError for an option of `lora` or `arguments` that is unknown, of another type, or refused.

    What depends on the machine that trains, the data or the model is left to the stages.
    """
    finetune = settings.finetune
    if finetune.lora is not None:
        models.lora_config(finetune.lora)
    check_training(finetune.arguments, "finetune.arguments")
    for where, entry in having(settings, "loss", "arguments").items():
        mined = settings.losses[entry.loss].mined
        if entry.arguments or mined.documents:
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
