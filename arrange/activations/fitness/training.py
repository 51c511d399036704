"""Trains all networks of a candidate as one batch (problems x seeds x rates), by batched matrix products.

This runs in the sandbox, in the candidate's process: it gets inputs and training targets and returns predictions. Their
errors are computed outside of it, by `arrange.activations.fitness.scoring`.

Shapes: P problems, S seeds, R rates, M = P S R members in this order, K parameters of a member; N points, D inputs,
W width. Points are the last axis, which makes the products with the last layer's single row several times as fast.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from arrange.activations.evaluation import Activation, Arrays

BETAS, EPSILON = (0.9, 0.999), 1e-8  # of Adam (Kingma and Ba 2015)
Shape = tuple[int, int]


def fit(activation: Activation, arrays: Arrays, settings: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Train every member by full-batch Adam and predict: "train", "valid" and "ood", each P x S x R x N float32.

    arrays: train_x, valid_x, ood_x (P x N x D float32), train_y (P x N float32), inputs (P int64: columns in use),
    keys (P x S int64: the seeds of the networks' first weights). Without arrays nothing is trained.
    settings: width, depth, steps, rates, warmup, clip; gain, by which the activation is scaled; and pointwise. An
    activation that is not pointwise sees one member's points x features at a time.

    Members are independent: the loss is the sum of their losses, and gradients are clipped member by member. A member
    that diverges has predictions that are not finite, and does not disturb the others.
    """
    if not arrays:
        return {}
    applied = activation if settings["pointwise"] else torch.func.vmap(lambda z_WN: activation(z_WN.T).T)
    sizes = sizes_of(arrays, settings)
    first_QK = initial(arrays["keys"], arrays["inputs"], sizes)
    return train(partial(forward, applied, settings["gain"]), first_QK, shapes_of(sizes), arrays, settings)


def train(
    outputs: Callable[[Sequence[Tensor], Tensor], Tensor],
    first_QK: Tensor,
    shapes: Sequence[Shape],
    arrays: Arrays,
    settings: Mapping[str, Any],
) -> dict[str, np.ndarray]:
    """Train members whose parameters have these shapes, and predict, as `fit` does.

    outputs: of the members' parameters (each M x shape) and of points M x D x N, the predictions M x N.
    first_QK: the first parameters of each problem and seed, Q = P S; all rates begin with the same ones.
    """
    shape_PSR = (*arrays["keys"].shape, len(settings["rates"]))
    x_MDN = {name: _members(arrays[f"{name}_x"], shape_PSR).mT.contiguous() for name in ("train", "valid", "ood")}
    y_MN = _members(arrays["train_y"], shape_PSR)
    rate_M = torch.tensor(settings["rates"]).repeat(arrays["keys"].size)
    adam = Adam(first_QK.repeat_interleave(shape_PSR[2], dim=0), rate_M, settings["clip"])
    leaves = views(adam.parameters_MK, shapes)
    for step in range(settings["steps"]):
        error_MN = outputs(leaves, x_MDN["train"]) - y_MN
        loss = error_MN.square().sum() / y_MN.shape[1]
        adam.step(torch.autograd.grad(loss, leaves), scheduled(step, settings["steps"], settings["warmup"]))
    with torch.no_grad():
        return {name: outputs(leaves, x).unflatten(0, shape_PSR).numpy() for name, x in x_MDN.items()}


def forward(activation: Activation, gain: float, leaves: Sequence[Tensor], x_MDN: Tensor) -> Tensor:
    """The networks' outputs, M x N. The gain is applied to the next layer's weights, which costs less.

    leaves: the weight (M x out x in) and the bias (M x out x 1) of each layer, in turn.
    """
    (weight, bias), *rest = zip(leaves[::2], leaves[1::2], strict=True)
    z_MWN = torch.baddbmm(bias, weight, x_MDN)
    for weight, bias in rest:
        z_MWN = torch.baddbmm(bias, weight * gain, activation(z_MWN))
    return z_MWN.squeeze(1)


def sizes_of(arrays: Arrays, settings: Mapping[str, Any]) -> list[int]:
    """The widths of a network's layers, from its inputs to its one output."""
    return [arrays["train_x"].shape[2], *[settings["width"]] * settings["depth"], 1]


def shapes_of(sizes: Sequence[int]) -> list[Shape]:
    """The shapes of the layers' weights and biases, in turn."""
    return [shape for before, after in pairwise(sizes) for shape in ((after, before), (after, 1))]


def initial(keys_PS: np.ndarray, inputs_P: np.ndarray, sizes: Sequence[int]) -> Tensor:
    """First parameters, (P S) x K: weights N(0, 1 / fan-in), biases uniform within +-1 / sqrt(fan-in).

    They depend on the network's key alone. The first layer's fan-in is the number of inputs in use.
    """
    rows = [_first(int(key), int(inputs_P[p]), sizes) for (p, _), key in np.ndenumerate(keys_PS)]
    return torch.from_numpy(np.stack(rows))


def _first(key: int, inputs: int, sizes: Sequence[int]) -> np.ndarray:
    """The first parameters of one network: the weight of each layer, then its bias."""
    rng, parts = np.random.default_rng(key), []
    for place, (before, after) in enumerate(pairwise(sizes)):
        scale = (before if place else inputs) ** -0.5
        parts += [scale * rng.standard_normal(after * before), scale * rng.uniform(-1, 1, after)]
    return np.concatenate(parts).astype(np.float32)


def views(parameters_MK: Tensor, shapes: Sequence[Shape]) -> list[Tensor]:
    """The parameters in these shapes, as views: leaves of autograd that change together with the parameters."""
    columns = parameters_MK.split([rows * columns for rows, columns in shapes], dim=1)
    return [part.unflatten(1, shape).detach().requires_grad_() for part, shape in zip(columns, shapes, strict=True)]


def scheduled(step: int, steps: int, warmup: int) -> float:
    """The share of the rate at a step: a linear rise over `warmup` steps, times a cosine that ends near 0."""
    return min(1.0, (step + 1) / warmup) * (1 + np.cos(np.pi * step / steps)) / 2


class Adam:
    """Adam on all members at once, each with its own rate and clipped gradient. torch's Adam has one rate a tensor."""

    def __init__(self, parameters_MK: Tensor, rate_M: Tensor, clip: float) -> None:
        self.parameters_MK = parameters_MK
        self._rate_M1, self._clip = rate_M.unsqueeze(1), clip
        self._mean_MK, self._square_MK = torch.zeros_like(parameters_MK), torch.zeros_like(parameters_MK)
        self._steps = 0

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], share: float) -> None:
        """One step at `share` of the rates. A member's gradient is scaled down to the norm `clip` if it is longer."""
        self._steps += 1
        gradient_MK = torch.cat([gradient.flatten(1) for gradient in gradients], dim=1)
        gradient_MK *= (self._clip / gradient_MK.norm(dim=1, keepdim=True)).clamp(max=1)
        first, second = (1 - beta**self._steps for beta in BETAS)
        self._mean_MK.lerp_(gradient_MK, 1 - BETAS[0])
        self._square_MK.mul_(BETAS[1]).addcmul_(gradient_MK, gradient_MK, value=1 - BETAS[1])
        step_MK = self._mean_MK / (self._square_MK / second).sqrt_().add_(EPSILON)
        self.parameters_MK.addcmul_(step_MK, self._rate_M1, value=-share / first)


def _members(values_P: np.ndarray, shape_PSR: tuple[int, ...]) -> Tensor:
    """One entry per member from one entry per problem."""
    return torch.from_numpy(np.repeat(values_P, shape_PSR[1] * shape_PSR[2], axis=0))
