"""What a program costs: the operations that torch does, counted while the program runs.

The weights are rough costs of one element on a CPU with vector instructions, in floating point operations: 1 for an
addition, 4 for a division or a root, about 10 for a transcendental function. They order programs and predict no times.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from arrange.activations.evaluation import Activation
from arrange.activations.programs.check import Rejected

ELEMENTWISE = {
    0: "scalar_tensor",
    1: """abs add bitwise_and bitwise_not bitwise_or ceil clamp eq floor frac ge gt hardtanh le leaky_relu lt maximum
        minimum mul ne neg ones_like relu round rsub sign sub trunc where zeros_like""",
    3: "lerp hardsigmoid",
    4: "div fmod hardswish reciprocal remainder rsqrt sqrt",
    8: "hypot",
    10: "cos erf exp exp2 expm1 log log10 log1p log2 sigmoid sin tanh",
    12: "celu elu erfc sinc silu",
    14: "acos asin atan gelu pow",
    20: "acosh asinh atan2 cosh log_sigmoid_forward sinh softplus tan",
    30: "mish",
}
REDUCTIONS = {1: "amax amin cumsum mean sum", 4: "std var", 14: "_softmax"}

WEIGHTS = {name: weight for table in (ELEMENTWISE, REDUCTIONS) for weight in table for name in table[weight].split()}
REDUCES = frozenset(" ".join(REDUCTIONS.values()).split())


@dataclass(frozen=True)
class Cost:
    """FLOPs per element, and whether an operation reduces over elements."""

    flops: float
    reduces: bool


def cost(activation: Activation) -> Cost:
    """Run the activation once on 128 x 32 numbers and count. An operation costs its weight for its largest tensor.

    It costs no less for a tensor smaller than x, such as a mean: many operations on one number take their time too.
    More rows than columns show what grows with the square of the rows.

    Raises Rejected (`cost`) for an operation without a known cost. A decision in Python by a tensor's value is such an
    operation, so the cost is the same for every input.
    """
    x = torch.linspace(-3, 3, 4096).reshape(128, 32)
    with torch.no_grad(), _Counter(x.numel()) as counter:
        activation(x)
    return Cost(counter.flops / x.numel(), counter.reduces)


def flops(activation: Activation) -> float:
    """FLOPs per element.

    >>> flops(lambda x: x * torch.sigmoid(x) + 1)
    12.0
    """
    return cost(activation).flops


class _Counter(TorchDispatchMode):
    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled here, and True would import 70 MB into the process that forks

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.flops = 0.0
        self.reduces = False

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        name = func.overloadpacket.__name__
        if name not in WEIGHTS:
            raise Rejected("cost", f"an operation without a known cost: {name}")
        result = func(*args, **(kwargs or {}))
        outputs = result if isinstance(result, tuple) else (result,)
        square = func is torch.ops.aten.pow.Tensor_Scalar and args[1] == 2
        self.flops += (1 if square else WEIGHTS[name]) * max(
            self.size, *(value.numel() for value in (*args, *outputs) if isinstance(value, Tensor))
        )
        self.reduces |= name in REDUCES
        return result
