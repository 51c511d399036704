"""The admission tests: what every activation must do, before any network is trained with it.

A program in which an element's value depends on other elements (on a mean, say) is admitted and marked as not
pointwise: such functions do well in the search and badly elsewhere, and tables should say so. It is marked where its
operations reduce over elements, or where an element's value changes with its neighbours, their order or their number.
So a program that is undefined for a single element, as a standard deviation is, is marked too.
"""

from statistics import NormalDist

import numpy as np
import torch
from torch import Tensor

from arrange.activations.evaluation import GRID, Activation, Admitted
from arrange.activations.programs.check import Rejected
from arrange.activations.programs.cost import cost

FAR = 1e4  # values and gradients are finite from -FAR to FAR
GAINS = (1e-2, 1e2)  # where a gain may lie
SHAPES = ((24,), (4, 6), (2, 3, 4))
ROWS, WIDTH = 128, 32  # of the normal quantiles for the gain: as wide as a network, each row over the whole range


def admit(activation: Activation, flops: float) -> Admitted:
    """Test the activation in float32 and float64, and measure its cost, its gain and its curve.

    flops: what it may cost, per element.

    Raises Rejected with a reason (`shape`, `state`, `random`, `cost`, `not_finite`, `gradient`, `vmap`, `gain`), and
    whatever the activation raises.
    """
    state = torch.get_rng_state()
    for dtype in (torch.float32, torch.float64):
        for shape in SHAPES:
            _keeps_shape(activation, torch.linspace(-3, 3, 24, dtype=dtype).reshape(shape))
    _is_stateless(activation, state)
    counted = cost(activation)
    if counted.flops > flops:
        raise Rejected("cost", f"{counted.flops:g} FLOPs per element, the budget is {flops:g}")
    for dtype in (torch.float32, torch.float64):
        _is_finite(activation, dtype)
    pointwise = not counted.reduces and _is_pointwise(activation)
    if not pointwise:
        _can_be_batched(activation)
    curve = activation(torch.from_numpy(GRID)).tolist()
    return Admitted(counted.flops, pointwise, _gain(activation), tuple(curve))


def _keeps_shape(activation: Activation, x: Tensor) -> None:
    """Reject unless the result is a plain tensor of the operand's shape and type, and the operand is unchanged."""
    before = x.clone()
    y = activation(x)
    if type(y) is not Tensor:
        raise Rejected("shape", f"a {type(y).__name__} instead of a tensor")
    if (y.shape, y.dtype, y.layout, y.device) != (x.shape, x.dtype, x.layout, x.device):
        raise Rejected("shape", f"{y.dtype} {tuple(y.shape)} for {x.dtype} {tuple(x.shape)}")
    if not torch.equal(x, before):
        raise Rejected("state", "it changes its operand")


def _is_stateless(activation: Activation, state: Tensor) -> None:
    """Reject unless the same operand gives the same bytes each time, and the random generator is untouched."""
    x = torch.linspace(-3, 3, 24)
    first = activation(x).clone()
    activation(2 - x)
    again = activation(x)
    if not torch.equal(torch.get_rng_state(), state):
        raise Rejected("random", "it draws random numbers, or seeds them")
    if first.numpy().tobytes() != again.numpy().tobytes():
        raise Rejected("state", "two calls with the same operand differ")


def _far_and_near(dtype: torch.dtype) -> Tensor:
    """Points of both signs and sizes from 1e-30 to FAR, and GRID, which has 0."""
    sizes = torch.cat([torch.logspace(-30, 4, 103, dtype=dtype), torch.linspace(4, FAR, 301, dtype=dtype)])
    return torch.cat([sizes, -sizes, torch.from_numpy(GRID).to(dtype)])


def _is_finite(activation: Activation, dtype: torch.dtype) -> None:
    """Reject unless values and gradients are finite from -FAR to FAR, and some gradient is not 0."""
    x = _far_and_near(dtype).requires_grad_()
    y = activation(x)
    if not y.requires_grad:
        raise Rejected("gradient", "it doesn't depend on x")
    weights = torch.linspace(1, 2, len(x), dtype=dtype)  # a plain sum would hide the slopes of x - x.mean()
    (gradient,) = torch.autograd.grad((weights * y).sum(), x)  # without a scalar, grad would import sympy: 35 MB
    for reason, values in (("not_finite", y), ("gradient", gradient)):
        if not values.isfinite().all():
            where = x[~values.isfinite()][0].item()
            raise Rejected(reason, f"not finite at x = {where:g} ({dtype})")
    if not gradient.any():
        raise Rejected("gradient", "it is zero everywhere")


def _is_pointwise(activation: Activation) -> bool:
    """Whether each element keeps its value in another order, another batch, and alone."""
    x = torch.linspace(-4, 4, 48, dtype=torch.float64).reshape(6, 8)
    y = activation(x)
    others = (
        (activation(x.flip(1)).flip(1), y),
        (activation(x[3:]), y[3:]),
        (activation(x[2, 3].reshape(1)), y[2, 3].reshape(1)),
    )
    return all(torch.allclose(value, expected, rtol=1e-9, atol=1e-9) for value, expected in others)


def _can_be_batched(activation: Activation) -> None:
    """Reject unless a batch of members by vmap, as in training, gives the same as the members one by one."""
    x = torch.linspace(-4, 4, 96, dtype=torch.float64).sin().reshape(3, 4, 8)
    try:
        together = torch.func.vmap(activation)(x)
    except RuntimeError as error:
        raise Rejected("vmap", str(error).partition("\n")[0]) from None
    one_by_one = torch.stack([activation(member) for member in x])
    if not torch.allclose(together, one_by_one, rtol=1e-6, atol=1e-9):
        raise Rejected("vmap", "a batch of members differs from the members one by one")


def _gain(activation: Activation) -> float:
    """1 / sqrt E f(z)^2, z standard normal. The mean is over quantiles, so it is the same every time."""
    quantiles = [NormalDist().inv_cdf((i + 0.5) / (ROWS * WIDTH)) for i in range(ROWS * WIDTH)]
    z = torch.tensor(quantiles, dtype=torch.float64).reshape(WIDTH, ROWS).T
    square = activation(z).square().mean().item()
    gain = square**-0.5 if square else np.inf
    if not GAINS[0] <= gain <= GAINS[1]:
        raise Rejected("gain", f"1 / sqrt E f(z)^2 is {gain:.3g}")
    return gain
