"""Small networks on small data sets. All networks of an activation (rates x data sets x seeds) are trained at once.

Shapes: M members, R rates, P data sets, S seeds, M = R P S in this order; N points, D inputs, O outputs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby, pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from arrange.activations.evaluation import Activation, Admitted, Measurement
from arrange.activations.feedforward import normalised
from arrange.activations.fitness.training import scheduled
from arrange.activations.settings import Networks

RUNG = "transfer"


class Points(NamedTuple):
    """Inputs N x D, and targets N x O: standardised numbers, or one-hot classes."""

    x_ND: Tensor
    y_NO: Tensor


@dataclass(frozen=True)
class DataSet:
    """Points to train on, points to choose a learning rate by, and shifted points: each shift is a problem."""

    name: str
    family: str
    classes: bool
    train: Points
    valid: Points
    shifted: Mapping[str, Points]
    source: str = ""  # the table that it was cut from, where several data sets were cut from one table

    @property
    def problems(self) -> dict[str, str]:
        """The names of its problems, by shift."""
        return {shift: f"{self.name} {shift}" for shift in self.shifted}


def measure(
    activation: Activation, admitted: Admitted, sets: Sequence[DataSet], training: Networks
) -> list[Measurement]:
    """Train on each data set from each seed, and measure on its shifted points: one measurement per problem and seed.

    Of each data set and seed, the learning rate with the lowest error on the validation points counts; these are not
    shifted. All activations get the same first weights and batches. Errors are squared errors of numbers, or of the
    classes' probabilities (Brier 1950), over the variance of the training targets; inf where training diverged.
    """
    scaled = normalised(activation, admitted)
    apply = scaled if admitted.pointwise else torch.vmap(scaled)  # members must not see each other's statistics
    measurements: list[Measurement] = []
    for _, alike in groupby(sets, lambda one: (one.classes, one.train.x_ND.shape, one.train.y_NO.shape)):
        measurements += _measure_together(apply, list(alike), training)
    return measurements


def _measure_together(activation: Activation, sets: Sequence[DataSet], training: Networks) -> list[Measurement]:
    """Measure data sets of one shape."""
    layers = fit(activation, sets, training)
    train_RPS, valid_RPS = (
        _errors(activation, layers, sets, [getattr(one, name) for one in sets], training) for name in ("train", "valid")
    )
    best_PS = np.argmin(valid_RPS, axis=0)
    measurements = []
    for shift in sets[0].shifted:
        ood_RPS = _errors(activation, layers, sets, [one.shifted[shift] for one in sets], training)
        for (p, s), r in np.ndenumerate(best_PS):
            errors = (float(errors_RPS[r, p, s]) for errors_RPS in (train_RPS, valid_RPS, ood_RPS))
            problem, seed = sets[p].problems[shift], training.seeds[s]
            measurements.append(Measurement(RUNG, problem, sets[p].family, seed, training.rates[r], *errors))
    return measurements


def fit(activation: Activation, sets: Sequence[DataSet], training: Networks) -> list[Tensor]:
    """Train all members; return the weights and biases of the layers, each with a leading axis M."""
    groups = [[tensor.requires_grad_() for tensor in first_layers(sets, training)] for _ in training.rates]
    optimiser = torch.optim.Adam(
        [{"params": group, "lr": rate} for group, rate in zip(groups, training.rates, strict=True)]
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, partial(scheduled, steps=training.steps, warmup=training.warmup)
    )
    x_PND, y_PNO = (torch.stack([one.train[part] for one in sets]) for part in (0, 1))
    problem_M1 = _of_members(torch.arange(len(sets)), training).unsqueeze(1)
    for index_MB in batches(sets, training):
        layers = [torch.cat(parts) for parts in zip(*groups, strict=True)]
        outputs_MBO = forward(activation, layers, x_PND[problem_M1, index_MB])
        loss_MB = _loss(outputs_MBO, y_PNO[problem_M1, index_MB], sets[0].classes)
        optimiser.zero_grad()
        loss_MB.mean(1).sum().backward()  # a sum, so that members do not influence each other's gradients
        optimiser.step()
        schedule.step()
    return [torch.cat(parts).detach() for parts in zip(*groups, strict=True)]


def forward(activation: Activation, layers: Sequence[Tensor], x_MND: Tensor) -> Tensor:
    """The outputs of all members, M x N x O; `layers` alternates weights and biases."""
    *hidden, last = zip(layers[::2], layers[1::2], strict=True)
    for weight_MDH, bias_M1H in hidden:
        x_MND = activation(torch.baddbmm(bias_M1H, x_MND, weight_MDH))
    return torch.baddbmm(last[1], x_MND, last[0])


def first_layers(sets: Sequence[DataSet], training: Networks) -> list[Tensor]:
    """The first weights, N(0, 1 / inputs), and biases, 0, of the members of one rate; they depend on the seed alone."""
    widths = [sets[0].train.x_ND.shape[1], *training.hidden, sets[0].train.y_NO.shape[1]]
    generators = [torch.Generator().manual_seed(seed) for seed in training.seeds]
    layers = []
    for d, h in pairwise(widths):
        weight_SDH = torch.stack([torch.randn(d, h, generator=generator) / d**0.5 for generator in generators])
        layers += [weight_SDH.repeat(len(sets), 1, 1), torch.zeros(len(sets) * len(generators), 1, h)]
    return layers


def batches(sets: Sequence[DataSet], training: Networks) -> Tensor:
    """The rows of each step's batch, steps x M x batch; they depend on the seed alone."""
    points, size = len(sets[0].train.x_ND), (training.steps, training.batch)
    drawn = [torch.randint(points, size, generator=torch.Generator().manual_seed(~seed)) for seed in training.seeds]
    return torch.stack(drawn, 1).repeat(1, len(training.rates) * len(sets), 1)


def _loss(outputs_MBO: Tensor, y_MBO: Tensor, classes: bool) -> Tensor:
    if classes:
        return -(y_MBO * outputs_MBO.log_softmax(-1)).sum(-1)
    return (outputs_MBO - y_MBO).square().mean(-1)


@torch.inference_mode()
def _errors(
    activation: Activation,
    layers: Sequence[Tensor],
    sets: Sequence[DataSet],
    points: Sequence[Points],
    training: Networks,
) -> np.ndarray:
    """The squared errors on one part of each data set, over the variance of its training targets: R x P x S."""
    x_PND, y_PNO = (torch.stack([one[part] for one in points]) for part in (0, 1))
    outputs_MNO = forward(activation, layers, _of_members(x_PND, training))
    predicted_MNO = outputs_MNO.softmax(-1) if sets[0].classes else outputs_MNO
    squares_M = (predicted_MNO - _of_members(y_PNO, training)).square().mean((1, 2))
    variance_P = torch.stack([one.train.y_NO.var(0, correction=0).mean() for one in sets])
    errors_M = (squares_M / _of_members(variance_P, training)).nan_to_num(torch.inf, posinf=torch.inf)
    return errors_M.reshape(len(training.rates), len(sets), len(training.seeds)).double().numpy()


def _of_members(values_P: Tensor, training: Networks) -> Tensor:
    """One entry per member from one per data set."""
    return values_P.repeat_interleave(len(training.seeds), 0).repeat(len(training.rates), *[1] * (values_P.dim() - 1))
