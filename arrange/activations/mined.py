"""Activations that a search found: those of "Mining Generalizable Activation Functions" (arXiv 2602.05688).

Each is a program of the search's grammar, as in `arrange.activations.classical`. The first four have the paper's
formulas. The other four are what its appendix names without a formula that we could read: a logistic map, a switch with
a flipped phase, a hypercomplex gate and a gate by FFT. Their formulas are ours, after the sources that they name.

`turbulent`, `hypercomplex_gate` and `fft_gate` are not pointwise: an element's value depends on others. Tables say so.
"""

import math

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


def logistic_map(x: Tensor) -> Tensor:
    """x s3, where s0 = sigmoid(x) and s(n+1) = 3.7 s(n) (1 - s(n)), the logistic map (May 1976) where it is chaotic.

    f(1) = 0.72316, f(-1) = -0.72316, f(0.5) = 0.45060, f'(0) = 0.70596. The first step hides x's sign.
    """
    s = 3.7 * torch.sigmoid(x) * torch.sigmoid(-x)  # s1; 1 - s0 would lose its digits
    for _ in range(2):
        s = 3.7 * s * (1 - s)
    return x * s


def phase_switch(x: Tensor) -> Tensor:
    """SiLU(x) + 0.2 sin(2 x + pi [x < 0]): below 0 the phase of the wave is flipped, which is 0.2 sin |2 x|.

    f(1) = 0.91292, f(-1) = -0.08708, f(0.5) = 0.47952. The slope at 0 is that from above, 0.9; from below it is 0.1.
    """
    wave = torch.sin(2 * x)
    return F.silu(x) + 0.2 * torch.where(x < 0, -wave, wave)


def hypercomplex_gate(x: Tensor) -> Tensor:
    """The real part of the complex cardioid z (1 + cos arg z) / 2 (Virtue et al. 2017), z = x + i m.

    m is the mean over the last axis, the features, so each element's gate depends on the others. Where m is 0, it is
    max(x, 0). A square of 1e-6 is added to |z|^2.
    """
    m = torch.mean(x, dim=-1, keepdim=True)
    return 0.5 * x * (1 + x / torch.sqrt(x * x + m * m + 1e-6))


def fft_gate(x: Tensor) -> Tensor:
    """x sigmoid(w), w the wave of the lowest frequency in x along the last axis, the features.

    w is the inverse FFT of the FFT of x in which all but frequency 1 are 0, as a filter of global frequencies has it
    (Rao et al. 2021, GFNet). It is written as the two sums that it is, because the grammar has no complex numbers.
    """
    ones = torch.ones_like(x)
    angle = 2 * math.pi * torch.cumsum(ones, dim=-1) / torch.sum(ones, dim=-1, keepdim=True)
    c = torch.cos(angle)
    s = torch.sin(angle)
    a = torch.mean(x * c, dim=-1, keepdim=True)
    b = torch.mean(x * s, dim=-1, keepdim=True)
    return x * torch.sigmoid(2 * (a * c + b * s))


MINED: dict[str, Activation] = {
    function.__name__: function
    for function in (
        *(gelusine, gelu_sinc, gmtu, turbulent),
        *(logistic_map, phase_switch, hypercomplex_gate, fft_gate),
    )
}
