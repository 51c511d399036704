"""Activations that a search found: those of "Mining Generalizable Activation Functions" (arXiv 2602.05688).

Each is a program of the search's grammar, as in `arrange.activations.classical`.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from arrange.activations.evaluation import Activation


def gelusine(x: Tensor) -> Tensor:
    """GELU(x) + 0.1 sin x.

    f(1) = 0.92549, f(-1) = -0.24280, f(0.5) = 0.39367, f'(0) = 0.6.
    """
    return F.gelu(x) + 0.1 * torch.sin(x)


def gelu_sinc(x: Tensor) -> Tensor:
    """GELU(x) (1 + sinc(x) / 2), sinc x = sin(pi x) / (pi x): the normalised sinc, and a product, not a sum.

    It equals GELU at every whole number but 0. f(1) = 0.84134, f(-1) = -0.15866, f(0.5) = 0.45578, f'(0) = 0.75.
    """
    return F.gelu(x) * (1 + 0.5 * torch.sinc(x))


def gmtu(x: Tensor) -> Tensor:
    """tanh(1.5 x) exp(-0.2 x^2) + 0.1 x.

    f(1) = 0.84107, f(-1) = -0.84107, f(0.5) = 0.65417, f'(0) = 1.6.
    """
    return torch.tanh(1.5 * x) * torch.exp(-0.2 * x**2) + 0.1 * x


def turbulent(x: Tensor) -> Tensor:
    """sign(x) log(1 + |x| / 2) + 0.2 exp(-z^2 / 2) sin 2x, z = x standardised over the whole tensor.

    z makes an element's value depend on all others: it uses batch statistics. The first term is as others cite the
    paper. A tensor of equal values, or of one, has z = 0, where the plain formula has 0 / 0; |x| is written so that
    the slope of the first term at 0 is its true 1/2, where sign and abs would give 0.
    """
    sign = 1 - 2 * (x < 0)
    centred = x - torch.mean(x)
    z = centred / torch.sqrt(torch.mean(centred**2) + 1e-12)
    return sign * torch.log1p(0.5 * (sign * x)) + 0.2 * torch.exp(-0.5 * z**2) * torch.sin(2 * x)


MINED: dict[str, Activation] = {function.__name__: function for function in (gelusine, gelu_sinc, gmtu, turbulent)}
