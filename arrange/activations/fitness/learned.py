"""Networks that learn their activation from a dictionary, LA and MoA (arXiv 2605.26647), trained as a candidate's are.

A portfolio trains a network with each member, and validation picks one. LA and MoA train one network that mixes all
members: `feedforward.LA` and `feedforward.MoA` are the same layers as modules, without biases and gain.

Shapes: those of `training`; C functions of the dictionary.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from arrange.activations.evaluation import Activation, Arrays, Measurement
from arrange.activations.feedforward import normalised
from arrange.activations.fitness.scoring import scores
from arrange.activations.fitness.training import initial, shapes_of, sizes_of, train
from arrange.activations.fitness.trial import draw_trial
from arrange.activations.programs.admission import admit
from arrange.activations.settings import Fitness

Kind = Literal["la", "moa"]
KINDS: tuple[Kind, ...] = get_args(Kind)


def measure_learned(kind: Kind, dictionary: Sequence[Activation], fitness: Fitness, seed: int) -> list[Measurement]:
    """The errors of such networks on the rung `test`: the problems, first weights, rates and steps of all activations.

    dictionary: pointwise activations, which are trusted, since this runs outside of the sandbox. Each is scaled by its
    gain, and so is their sum: every network begins at the scale of any other activation.
    """
    functions = [normalised(one, admit(one, np.inf)) for one in dictionary]
    gain = admit(lambda x: sum((one(x) for one in functions), start=torch.zeros_like(x)), np.inf).gain
    trial = draw_trial(fitness, "test", seed)
    return [
        measurement
        for part in trial.parts
        for measurement in scores(
            *(trial.name, trial.rung, part.problems),
            fit_learned(kind, functions, part.arrays, {**trial.settings, "gain": gain}),
        )
    ]


def fit_learned(
    kind: Kind, functions: Sequence[Activation], arrays: Arrays, settings: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Train every member and predict, as `training.fit` does, with the activation gain * sum_c a_c s_c(z).

    la: the a_c are parameters of each layer, 1 at the start.
    moa: a_c = 2 sigmoid(u_c . x), x the layer's input at this point; the u_c are parameters of each layer, 0 at the
    start, so that both begin as the same network. The paper's sigmoid has no 2, which is a part of the gain here.
    """
    sizes = sizes_of(arrays, settings)
    shapes = [(len(functions), before if kind == "moa" else 1) for before in sizes[:-2]]
    first_QK = initial(arrays["keys"], arrays["inputs"], sizes)
    numbers = sum(rows * columns for rows, columns in shapes)
    first_QK = torch.cat([first_QK, torch.full((len(first_QK), numbers), float(kind == "la"))], dim=1)
    outputs = partial(forward, functions, kind == "moa", settings["gain"])
    return train(outputs, first_QK, [*shapes_of(sizes), *shapes], arrays, settings)


def forward(
    functions: Sequence[Activation], gated: bool, gain: float, leaves: Sequence[Tensor], x_MDN: Tensor
) -> Tensor:
    """The networks' outputs, M x N.

    leaves: the weight and the bias of each layer, in turn, and then each hidden layer's a_c (M x C x 1) or, if gated,
    its u_c (M x C x D).
    """
    hidden = (len(leaves) - 2) // 3
    weights, biases, coefficients = leaves[: 2 * hidden : 2], leaves[1 : 2 * hidden : 2], leaves[-hidden:]
    for weight, bias, coefficient in zip(weights, biases, coefficients, strict=True):
        a_MCN = 2 * torch.sigmoid(coefficient @ x_MDN) if gated else coefficient
        z_MWN = torch.baddbmm(bias, weight, x_MDN)
        terms = zip(a_MCN.unbind(1), functions, strict=True)
        x_MDN = gain * sum((a_MN.unsqueeze(1) * s(z_MWN) for a_MN, s in terms), start=torch.zeros_like(z_MWN))
    weight, bias = leaves[2 * hidden : 2 * hidden + 2]
    return torch.baddbmm(bias, weight, x_MDN).squeeze(1)
