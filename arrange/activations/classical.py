"""Well-known activation functions, from tensor to tensor, element by element.

Each is one expression of the search's grammar, so `programs.files.source_of` can turn it into a program.
"""

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from arrange.activations.evaluation import Activation


def relu(x: Tensor) -> Tensor:
    """max(x, 0). Its gradient at 0 is taken as 0."""
    return F.relu(x)


def leaky_relu(x: Tensor) -> Tensor:
    """x above 0, x / 100 below. Maas et al. 2013."""
    return F.leaky_relu(x, 0.01)


def elu(x: Tensor) -> Tensor:
    """x above 0, e^x - 1 below. Clevert et al. 2016."""
    return F.elu(x)


def selu(x: Tensor) -> Tensor:
    """1.0507 x above 0, 1.7581 (e^x - 1) below: keeps mean 0 and variance 1. Klambauer et al. 2017."""
    return F.selu(x)


def gelu(x: Tensor) -> Tensor:
    """x Phi(x), Phi the standard normal distribution function; exact, not its tanh form. Hendrycks and Gimpel 2016."""
    return F.gelu(x)


def gelu_tanh(x: Tensor) -> Tensor:
    """x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2: GELU's other form, within 5e-4 of it. Hendrycks and Gimpel."""
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))


def silu(x: Tensor) -> Tensor:
    """x sigmoid(x), also called swish. Elfwing et al. 2018."""
    return F.silu(x)


def mish(x: Tensor) -> Tensor:
    """x tanh(softplus(x)). Misra 2020."""
    return F.mish(x)


def softplus(x: Tensor) -> Tensor:
    """log(1 + e^x). Dugas et al. 2001."""
    return F.softplus(x)


def softsign(x: Tensor) -> Tensor:
    """x / (1 + |x|). Turian et al. 2009."""
    return F.softsign(x)


def tanh(x: Tensor) -> Tensor:
    """(e^x - e^-x) / (e^x + e^-x)."""
    return torch.tanh(x)


def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + e^-x)."""
    return torch.sigmoid(x)


def sin(x: Tensor) -> Tensor:
    """sin x. Sitzmann et al. 2020 (SIREN), with frequency 1."""
    return torch.sin(x)


def snake(x: Tensor) -> Tensor:
    """x + sin^2 x, for what is periodic beyond the training range. Ziyin et al. 2020, with frequency 1."""
    return x + torch.sin(x) ** 2


CLASSICAL: dict[str, Activation] = {
    function.__name__: function
    for function in (
        relu,
        leaky_relu,
        elu,
        selu,
        gelu,
        gelu_tanh,
        silu,
        mish,
        softplus,
        softsign,
        tanh,
        sigmoid,
        sin,
        snake,
    )
}
