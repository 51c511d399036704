"""The admission tests: what every activation must do, before any network is trained with it.

A program in which an element's value depends on other elements (on a mean, say) is admitted and marked as not
pointwise: such functions do well in the search and badly elsewhere, and tables should say so. It is marked where its
operations reduce over elements, or where an element's value changes with its neighbours, their order or their number.
So a program that is undefined for a single element, as a standard deviation is, is marked too.

What is measured is measured in training's type, float32. Where float64 gives another function, or where autograd does,
where the scale depends on which points there are, or the curve's points differ from those beside them, training would
see another function than admission: it is refused.
"""

from functools import cache
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
ROWS, WIDTH = 128, 32  # of the normal quantiles for the gain: as wide as a network
SAMPLES = (32, 96, 192, 250)  # points, drawn at random, with which a program with statistics may have another gain
DRIFT = 1.25  # by this factor
CLOSE, SHARE = 1e-3, 0.01  # the share of points that may be further apart: a jump falls on another side when rounded
BESIDE, LIKE, MOST = (2**-13, 2**-10, 2**-7), 0.25, 0.75  # see _is_what_its_curve_shows


def admit(activation: Activation, flops: float) -> Admitted:
    """Test the activation in float32 and float64, and measure its cost, its gain and its curve in float32.

    flops: what it may cost, per element.

    Raises Rejected with a reason (`shape`, `state`, `random`, `cost`, `not_finite`, `gradient`, `precision`, `vmap`,
    `curve`, `gain`), and whatever the activation raises.
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
    _is_the_same_elsewhere(activation)
    pointwise = not counted.reduces and _is_pointwise(activation)
    if not pointwise:
        _can_be_batched(activation)
    curve = _is_what_its_curve_shows(activation)
    return Admitted(counted.flops, pointwise, _gain(activation, pointwise), tuple(curve.tolist()))


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


def _is_the_same_elsewhere(activation: Activation) -> None:
    """Reject unless float64 gives the same values, and autograd too."""
    z = _normal()
    y = activation(z)
    others = (
        ("precision", "float64", activation(z.double())),
        ("gradient", "autograd", activation(z.clone().requires_grad_()).detach()),
    )
    for reason, name, other in others:
        near = (y - other).abs() <= CLOSE * other.square().mean().sqrt()
        if near.double().mean() < 1 - SHARE:
            raise Rejected(reason, f"another function in {name}: {1 - near.double().mean():.0%} of the values differ")


def _is_pointwise(activation: Activation) -> bool:
    """Whether each element keeps its value in another order, another batch, another shape, and alone."""
    x = torch.linspace(-4, 4, 48).reshape(6, 8)
    y = activation(x)
    others = (
        (activation(x.flip(1)).flip(1), y),
        (activation(x[3:]), y[3:]),
        (activation(x.reshape(2, 3, 8)).reshape(6, 8), y),
        (activation(x[2, 3].reshape(1)), y[2, 3].reshape(1)),
    )
    return all(torch.allclose(value, expected, rtol=1e-5, atol=1e-5) for value, expected in others)


def _can_be_batched(activation: Activation) -> None:
    """Reject unless a batch of members by vmap, as in training, gives the same as the members one by one."""
    x = torch.linspace(-4, 4, 96).sin().reshape(3, 4, 8)
    try:
        together = torch.func.vmap(activation)(x)
    except RuntimeError as error:
        raise Rejected("vmap", str(error).partition("\n")[0]) from None
    one_by_one = torch.stack([activation(member) for member in x])
    if not torch.allclose(together, one_by_one, rtol=CLOSE, atol=1e-5):
        raise Rejected("vmap", "a batch of members differs from the members one by one")


def _is_what_its_curve_shows(activation: Activation) -> Tensor:
    """The values on GRID. Reject unless most of them are like those BESIDE them, on either side.

    GRID's points are whole eighths, so a program could tell them from all others, and show a curve that isn't its own.
    """
    grid = torch.from_numpy(GRID).float()
    curve = activation(grid)
    size = curve.square().mean().sqrt()
    for step in BESIDE:
        distance = torch.minimum((activation(grid + step) - curve).abs(), (activation(grid - step) - curve).abs())
        if (distance <= LIKE * size).double().mean() < MOST:
            raise Rejected("curve", f"its values at x = k / 8 aren't like those at x = k / 8 +- {step:g}")
    return curve


def _gain(activation: Activation, pointwise: bool) -> float:
    """1 / sqrt E f(z)^2, z standard normal. The mean is over quantiles, so it is the same every time.

    A program that is not pointwise could tell the quantiles from a network's values (by their number, or their mean of
    exactly 0), so its gain must be that of a few random samples too.
    """
    gain = _gain_of(activation(_normal()))
    if not GAINS[0] <= gain <= GAINS[1]:
        raise Rejected("gain", f"1 / sqrt E f(z)^2 is {gain:.3g}")
    for rows in () if pointwise else SAMPLES:
        sample = torch.from_numpy(np.random.default_rng(rows).normal(0.05, 0.95, (rows, WIDTH))).float()
        other = _gain_of(activation(sample))
        if not 1 / DRIFT <= other / gain <= DRIFT:
            raise Rejected("gain", f"{other:.3g} for {rows} random points, {gain:.3g} for {ROWS} quantiles")
    return gain


def _gain_of(y: Tensor) -> float:
    square = y.double().square().mean().item()
    return square**-0.5 if square else np.inf


@cache
def _normal() -> Tensor:
    """The standard normal's quantiles, ROWS x WIDTH, in an order that is always the same. Nobody may change them."""
    quantiles = [NormalDist().inv_cdf((i + 0.5) / (ROWS * WIDTH)) for i in range(ROWS * WIDTH)]
    return torch.from_numpy(np.random.default_rng(0).permutation(quantiles)).float().reshape(ROWS, WIDTH)
