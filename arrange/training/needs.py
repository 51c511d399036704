"""What a training needs of memory and disc, compared with what there is before the work starts."""

import shutil
from pathlib import Path

import psutil
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from arrange.base_models.prepare import shape_of
from arrange.errors import UserError

FLOAT = 4  # bytes
GB = 1e9


def check(base: Path, lora: bool, checkpoints: int, reference: bool = False) -> None:
    """Raise UserError unless a training that starts from the folder `base` has room; shapes are taken as small.

    A weight takes 4 bytes, and with its gradient and Adam's two moments 16; activations come on top. On disc a
    checkpoint has weights and moments, 12 bytes, of which there are `checkpoints` and one in the making. With LoRA
    gradients, moments and checkpoints are of the small adapters alone. A frozen reference is in memory once more.
    """
    if shape_of(base) is not None:
        return
    weights = FLOAT * parameters(base)
    memory, disc = (weights, weights) if lora else (4 * weights, weights * (1 + 3 * (checkpoints + 1)))
    memory += weights if reference else 0
    gpu = torch.cuda.is_available()
    free = torch.cuda.mem_get_info()[0] if gpu else psutil.virtual_memory().available
    if memory > free:
        where = "of the GPU's memory" if gpu else "of memory"
        problem = f"{base}: a training needs {memory / GB:.1f} GB {where} and more, {free / GB:.1f} GB are free"
        raise UserError(problem, "train adapters (finetune.lora.r=16)" if not lora else "take a smaller model")
    if disc > (room := shutil.disk_usage(Path.cwd()).free):
        problem = f"{base}: its training takes {disc / GB:.1f} GB of disc, {room / GB:.1f} GB are free"
        raise UserError(problem, "make room, keep fewer checkpoints (save_total_limit), or train adapters")


def parameters(base: Path) -> int:
    """How many weights a base model has, by its configuration: nothing is loaded."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(base, local_files_only=True))
    return sum(each.numel() for each in model.parameters())
