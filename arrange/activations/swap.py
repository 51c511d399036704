"""Put an activation into a model: as a module, and in place of those of a transformer's feed-forward layers."""

from torch import Tensor, nn

from arrange.activations.evaluation import Activation, Admitted
from arrange.errors import UserError

ATTRIBUTES = ("act_fn", "act")  # what transformers' feed-forward layers call it: Llama and its kin, GPT-2


class AsModule(nn.Module):
    """A function as a module.

    >>> nn.Sequential(nn.Linear(4, 8), AsModule(torch.sin), nn.Linear(8, 1))  # doctest: +SKIP
    """

    def __init__(self, function: Activation) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def normalised(activation: Activation, admitted: Admitted) -> Activation:
    """The activation divided by sqrt E f(z)^2, z standard normal: scale is learning rate, and all get the same."""
    return lambda x: admitted.gain * activation(x)


def swap(model: nn.Module, activation: Activation) -> int:
    """Replace the activation of every feed-forward layer of a transformers model, in place; return how many.

    They are found by the attribute that holds them, not by the model's class. What `save_pretrained` writes knows
    nothing of it: swap again after loading. Raises UserError for a model that has none.
    """
    found = [
        (layer, name)
        for layer in model.modules()
        for name in ATTRIBUTES
        if isinstance(getattr(layer, name, None), nn.Module)
    ]
    if not found:
        raise UserError(
            f"swap: {type(model).__name__} has no activation named {' or '.join(ATTRIBUTES)}",
            "take a model whose feed-forward layers hold theirs as a module of that name",
        )
    for layer, name in found:
        setattr(layer, name, AsModule(activation))
    return len(found)
