"""Feed-forward layers whose activation is learned: LA and MoA of "Mixture of Activations" (arXiv 2605.26647).

Shapes: B any leading axes, D the width, H the hidden width, K the functions of the dictionary.
"""

from collections.abc import Mapping
from math import prod

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from arrange.activations.evaluation import Activation

DICTIONARY: Mapping[str, Activation] = {
    "identity": lambda x: x,
    "relu": F.relu,
    "relu_squared": lambda x: F.relu(x) ** 2,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.01),
    "gelu": F.gelu,
    "silu": F.silu,
    "tanh": torch.tanh,
}


class FeedForward(nn.Module):
    """W2 sum_k a_k s_k(W1 x), s_k the functions of DICTIONARY; subclasses say what the coefficients a_k are.

    With `branches=2`, as in a gated layer (SwiGLU), W2 multiplies the product of two such sums, each with its own W1
    and its own coefficients. No biases, as in Llama.

    >>> LA(width=8, hidden=32)(torch.zeros(2, 5, 8)).shape
    torch.Size([2, 5, 8])
    """

    def __init__(self, width: int, hidden: int, branches: int = 1) -> None:
        super().__init__()
        self.up = nn.ModuleList(nn.Linear(width, hidden, bias=False) for _ in range(branches))
        self.down = nn.Linear(hidden, width, bias=False)

    def coefficients(self, x_BD: Tensor, branch: int) -> Tensor:
        """The a_k of a branch: shape K, or B x K where each token has its own."""
        raise NotImplementedError

    def forward(self, x_BD: Tensor) -> Tensor:
        """B x D, as x."""
        return self.down(prod(mix(up(x_BD), self.coefficients(x_BD, branch)) for branch, up in enumerate(self.up)))


class LA(FeedForward):
    """Learnable activation: the coefficients are parameters of the layer, 1 at the start, and unconstrained."""

    def __init__(self, width: int, hidden: int, branches: int = 1) -> None:
        super().__init__(width, hidden, branches)
        self.weight_NK = nn.Parameter(torch.ones(branches, len(DICTIONARY)))

    def coefficients(self, x_BD: Tensor, branch: int) -> Tensor:
        return self.weight_NK[branch]


class MoA(FeedForward):
    """Mixture of activations: a_k = sigmoid(u_k . x), x the token's input to the layer; the a_k don't sum to 1.

    The u_k start at 0 (ours; the paper doesn't say), where the layer is an LA with all coefficients 1/2.
    """

    def __init__(self, width: int, hidden: int, branches: int = 1) -> None:
        super().__init__(width, hidden, branches)
        self.gate_NKD = nn.Parameter(torch.zeros(branches, len(DICTIONARY), width))

    def coefficients(self, x_BD: Tensor, branch: int) -> Tensor:
        return torch.sigmoid(x_BD @ self.gate_NKD[branch].T)


def mix(x_BH: Tensor, coefficients_BK: Tensor) -> Tensor:
    """sum_k a_k s_k(x), B x H; the coefficients are K numbers, or K for each token."""
    terms = zip(coefficients_BK.unbind(-1), DICTIONARY.values(), strict=True)
    return sum((a_B.unsqueeze(-1) * s(x_BH) for a_B, s in terms), start=torch.zeros_like(x_BH))
