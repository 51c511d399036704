"""Training a candidate's networks one by one, with torch's own modules: the baseline of the batched training."""

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from arrange.activations.evaluation import Activation, Arrays


class Network(nn.Module):
    """An MLP with an activation times its gain."""

    def __init__(self, activation: Activation, gain: float, inputs: int, width: int, depth: int) -> None:
        super().__init__()
        self.activation, self.gain = activation, gain
        sizes = [inputs, *[width] * depth, 1]
        self.layers = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(sizes))

    def forward(self, x_ND: Tensor) -> Tensor:
        first, *rest = self.layers
        x_ND = first(x_ND)
        for layer in rest:
            x_ND = layer(self.gain * self.activation(x_ND))
        return x_ND[:, 0]


@torch.no_grad()
def begin(network: Network, key: int, inputs: int) -> None:
    """Set the first weights as the batched training defines them: layer by layer, weight then bias, from the key."""
    rng = np.random.default_rng(key)
    for place, layer in enumerate(network.layers):
        assert isinstance(layer, nn.Linear)
        fan_in = layer.in_features if place else inputs
        weight = rng.standard_normal(layer.weight.numel()).reshape(layer.weight.shape) / math.sqrt(fan_in)
        bias = rng.uniform(-1, 1, layer.out_features) / math.sqrt(fan_in)
        layer.weight.copy_(torch.from_numpy(weight))
        layer.bias.copy_(torch.from_numpy(bias))


def fit_one_by_one(activation: Activation, arrays: Arrays, settings: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The predictions that `arrange.activations.fitness.training.fit` returns, by name of the points."""
    problems, seeds = arrays["keys"].shape
    shape = (problems, seeds, len(settings["rates"]))
    predictions = {
        name: np.empty((*shape, arrays[f"{name}_x"].shape[1]), np.float32) for name in ("train", "valid", "ood")
    }
    for p, s, r in np.ndindex(shape):
        columns = arrays["train_x"].shape[2]
        network = Network(activation, settings["gain"], columns, settings["width"], settings["depth"])
        begin(network, int(arrays["keys"][p, s]), int(arrays["inputs"][p]))
        train(network, torch.from_numpy(arrays["train_x"][p]), torch.from_numpy(arrays["train_y"][p]), settings, r)
        with torch.no_grad():
            for name, predicted in predictions.items():
                predicted[p, s, r] = network(torch.from_numpy(arrays[f"{name}_x"][p])).numpy()
    return predictions


def train(network: Network, x_ND: Tensor, y_N: Tensor, settings: Mapping[str, Any], r: int) -> None:
    """Full-batch Adam with warm-up, cosine and a clipped gradient."""
    steps, warmup = settings["steps"], settings["warmup"]
    adam = torch.optim.Adam(network.parameters(), lr=settings["rates"][r])
    schedule = torch.optim.lr_scheduler.LambdaLR(
        adam, lambda step: min((step + 1) / warmup, 1.0) * (0.5 + 0.5 * math.cos(math.pi * step / steps))
    )
    for _ in range(steps):
        adam.zero_grad()
        nn.functional.mse_loss(network(x_ND), y_N).backward()
        nn.utils.clip_grad_norm_(network.parameters(), settings["clip"])
        adam.step()
        schedule.step()
