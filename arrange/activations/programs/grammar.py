"""The functions and constants that a program may use: one table for the check, the costs and the mutators.

A program is `def activation(x):` over torch's elementwise functions and a few reductions. All functions here are pure:
they make no file, no random number, and no view through which a tensor can be written.
"""

import math
from dataclasses import dataclass
from types import MappingProxyType, SimpleNamespace

import torch
import torch.nn.functional


@dataclass(frozen=True)
class Function:
    """How a function is called: tensors (or numbers) first, then numbers, by place or by name."""

    operands: int = 1
    numbers: tuple[str, ...] = ()
    reduces: bool = False  # takes `dim`, and `keepdim` unless its result has the shape of its operand


def _table(prefix: str, names: str, function: Function) -> dict[str, Function]:
    return {f"{prefix}.{name}": function for name in names.split()}


UNARY = (
    "abs acos acosh asin asinh atan ceil cos cosh erf erfc exp exp2 expm1 floor frac log log10 log1p log2 neg "
    "reciprocal relu round rsqrt sigmoid sign sin sinc sinh sqrt square tan tanh trunc zeros_like ones_like"
)
F_UNARY = "gelu hardsigmoid hardswish logsigmoid mish relu relu6 selu sigmoid silu softsign tanh tanhshrink"
MATH_UNARY = "atan cos erf exp log sin sqrt tanh"

FUNCTIONS = MappingProxyType(
    _table("torch", UNARY, Function())
    | _table("torch", "atan2 fmod hypot maximum minimum pow remainder", Function(2))
    | _table("torch", "lerp where", Function(3))
    | _table("torch", "clamp", Function(numbers=("min", "max")))
    | _table("torch", "amax amin cumsum mean softmax std sum var", Function(reduces=True))
    | _table("F", F_UNARY, Function())
    | _table("F", "celu elu", Function(numbers=("alpha",)))
    | _table("F", "leaky_relu", Function(numbers=("negative_slope",)))
    | _table("F", "softplus", Function(numbers=("beta", "threshold")))
    | _table("F", "hardtanh", Function(numbers=("min_val", "max_val")))
    | _table("F", "softmax", Function(reduces=True))
    | _table("math", MATH_UNARY, Function())
)
CONSTANTS = MappingProxyType({"math.pi": math.pi, "math.e": math.e, "math.tau": math.tau, "torch.pi": math.pi})

# `x.tanh()` is `torch.tanh(x)`
METHODS = frozenset(name.removeprefix("torch.") for name in FUNCTIONS if name.startswith("torch.")) - {
    "lerp",
    "where",
    "zeros_like",
    "ones_like",
}
KEEPS_SHAPE = frozenset({"softmax", "cumsum"})  # of the functions that reduce; these need `dim`

MODULES = {"torch": torch, "F": torch.nn.functional, "math": math}


def facades() -> dict[str, SimpleNamespace]:
    """Stand-ins for torch, F and math that hold what the tables list and nothing else."""
    modules = {name: SimpleNamespace() for name in MODULES}
    for path in FUNCTIONS:
        module, name = path.split(".")
        setattr(modules[module], name, getattr(MODULES[module], name))
    for path, value in CONSTANTS.items():
        module, name = path.split(".")
        setattr(modules[module], name, value)
    return modules
