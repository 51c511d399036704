"""Feed-forward layers with another activation, and with a learned one.

LA and MoA are those of "Mixture of Activations" (arXiv 2605.26647).
Shapes: B any leading axes, D the width, H the hidden width, N branches, K the functions of the dictionary.
"""

from collections.abc import Mapping, Sequence
from math import prod

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from arrange.activations.evaluation import Activation, Admitted
from arrange.errors import UserError

ATTRIBUTES = ("act_fn", "act")  # names of the activation in transformers' feed-forward layers: Llama's, GPT-2's
DICTIONARY: Mapping[str, Activation] = {
    "identity": lambda x: x,
    "relu": F.relu,
    "relu_squared": lambda x: F.relu(x) ** 2,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.01),
    "gelu": F.gelu,
    "silu": F.silu,
    "tanh": torch.tanh,
}


class AsModule(nn.Module):
    """A function as a module.

    >>> nn.Sequential(nn.Linear(4, 8), AsModule(torch.sin), nn.Linear(8, 1))  # doctest: +SKIP
    """

    def __init__(self, function: Activation) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)

    def extra_repr(self) -> str:
        return getattr(self.function, "__name__", "")


def normalised(activation: Activation, admitted: Admitted) -> Activation:
    """The activation divided by sqrt E f(z)^2, z standard normal. Another scale would act as another learning rate."""
    return lambda x: admitted.gain * activation(x)


def swap(model: nn.Module, activation: Activation) -> int:
    """Replace the activation of every feed-forward layer of a transformers model, in place; return how many.

    Layers are found by the name of the attribute that holds their activation. `save_pretrained` does not save the
    swap: swap again after loading. Raises UserError for a model that has no such attribute.
    """
    places = [
        (layer, name)
        for layer in model.modules()
        for name in ATTRIBUTES
        if isinstance(getattr(layer, name, None), nn.Module)
    ]
    if not places:
        raise UserError(
            f"swap: {type(model).__name__} has no activation named {' or '.join(ATTRIBUTES)}",
            "take a model whose feed-forward layers hold their activation as a module of that name",
        )
    for layer, name in places:
        setattr(layer, name, AsModule(activation))
    return len(places)


class FeedForward(nn.Module):
    """W2 sum_k a_k s_k(W1 x) with the s_k of a dictionary of functions; subclasses define the coefficients a_k.

    The dictionary is the paper's by default; a portfolio (`portfolio.load`) is one too.
    With `branches=2`, as in a gated layer (SwiGLU), W2 multiplies the product of two such sums. Each has its own W1
    and its own coefficients. There are no biases, as in Llama.

    >>> LA(width=8, hidden=32)(torch.zeros(2, 5, 8)).shape
    torch.Size([2, 5, 8])
    """

    def __init__(
        self, width: int, hidden: int, branches: int = 1, dictionary: Mapping[str, Activation] = DICTIONARY
    ) -> None:
        super().__init__()
        self.functions = tuple(dictionary.values())
        self.up = nn.ModuleList(nn.Linear(width, hidden, bias=False) for _ in range(branches))
        self.down = nn.Linear(hidden, width, bias=False)

    def coefficients(self, x_BD: Tensor, branch: int) -> Tensor:
        """The a_k of a branch: shape K, or B x K where each token has its own."""
        raise NotImplementedError

    def forward(self, x_BD: Tensor) -> Tensor:
        """B x D, as x."""
        parts = (mix(self.functions, up(x_BD), self.coefficients(x_BD, branch)) for branch, up in enumerate(self.up))
        return self.down(prod(parts))


class LA(FeedForward):
    """Learnable activation: the coefficients are unconstrained parameters of the layer, 1 at the start."""

    def __init__(
        self, width: int, hidden: int, branches: int = 1, dictionary: Mapping[str, Activation] = DICTIONARY
    ) -> None:
        super().__init__(width, hidden, branches, dictionary)
        self.weight_NK = nn.Parameter(torch.ones(branches, len(dictionary)))

    def coefficients(self, x_BD: Tensor, branch: int) -> Tensor:
        return self.weight_NK[branch]


class MoA(FeedForward):
    """Mixture of activations: a_k = sigmoid(u_k . x), x the token's input to the layer; the a_k need not sum to 1.

    The u_k start at 0 (our choice, since the paper does not say), where the layer is an LA with all coefficients 1/2.
    """

    def __init__(
        self, width: int, hidden: int, branches: int = 1, dictionary: Mapping[str, Activation] = DICTIONARY
    ) -> None:
        super().__init__(width, hidden, branches, dictionary)
        self.gate_NKD = nn.Parameter(torch.zeros(branches, len(dictionary), width))

    def coefficients(self, x_BD: Tensor, branch: int) -> Tensor:
        return torch.sigmoid(x_BD @ self.gate_NKD[branch].T)


def mix(functions: Sequence[Activation], x_BH: Tensor, coefficients_BK: Tensor) -> Tensor:
    """sum_k a_k s_k(x), B x H. The coefficients are K numbers, or K for each token."""
    terms = zip(coefficients_BK.unbind(-1), functions, strict=True)
    return sum((a_B.unsqueeze(-1) * s(x_BH) for a_B, s in terms), start=torch.zeros_like(x_BH))
