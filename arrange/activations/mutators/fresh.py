"""Programs drawn at random from a weighted grammar: what a search starts from, and all that the control does.

A known activation plus a small periodic term is common, because such functions did well in arXiv 2602.05688.
Functions that are not finite everywhere appear only in forms that are.
"""

import ast
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

KNOWN = (
    "F.gelu({})",
    "F.silu({})",
    "F.mish({})",
    "F.softplus({})",
    "F.relu({})",
    "F.elu({})",
    "F.selu({})",
    "F.leaky_relu({}, 0.1)",
    "F.hardswish({})",
    "F.softsign({})",
    "torch.tanh({})",
    "torch.atan({})",
    "torch.asinh({})",
)
WAVES = ("torch.sin({})", "torch.cos({})", "torch.sinc({})", "torch.square(torch.sin({}))")
WINDOWS = (
    "torch.exp(-torch.square({}))",
    "torch.sigmoid({})",
    "torch.erf({})",
    "1 / (1 + torch.abs({}))",
    "1 / (1 + torch.square({}))",
)
PAIRS = ("({}) + ({})", "({}) - ({})", "({}) * ({})", "torch.maximum({}, {})", "torch.minimum({}, {})")
JUMPS = ("torch.where(x > 0, {}, {})", "torch.where(torch.abs(x) < 1, {}, {})")
KINDS, WEIGHTS = (KNOWN, WAVES, WINDOWS, PAIRS, JUMPS), (0.4, 0.15, 0.1, 0.3, 0.05)

Rng = np.random.Generator
T = TypeVar("T")


def program(rng: Rng) -> str:
    """An independent sample: in 60% a known activation with a small periodic term, else any expression.

    >>> print(program(np.random.default_rng(0)))  # doctest: +SKIP
    def activation(x):
        return F.gelu(x) + 0.1 * torch.sin(2.1 * x)
    """
    expression = known_with_wave(rng) if rng.random() < 0.6 else compound(rng, depth=3)
    return ast.unparse(ast.parse(f"def activation(x): return {expression}")) + "\n"


def known_with_wave(rng: Rng) -> str:
    """A known activation with a small periodic term."""
    return waved(rng, pick(rng, KNOWN).format(leaf(rng)))


def waved(rng: Rng, base: str) -> str:
    """base + c wave(x) or base (1 + c wave(x)), the wave in a window or not; c is around 0.2."""
    wave = pick(rng, WAVES).format(leaf(rng))
    if rng.random() < 0.25:
        wave = f"{pick(rng, WINDOWS).format(leaf(rng))} * {wave}"
    form = "({}) + {} * {}" if rng.random() < 0.6 else "({}) * (1 + {} * {})"
    return form.format(base, constant(rng, 0.2), wave)


def compound(rng: Rng, depth: int) -> str:
    """A function or an operation of the grammar, nested at most `depth` deep."""
    form = pick(rng, KINDS[rng.choice(len(KINDS), p=WEIGHTS)])
    return form.format(*(term(rng, depth - 1) for _ in range(form.count("{}"))))


def term(rng: Rng, depth: int) -> str:
    """Any expression of the grammar, at most `depth` deep."""
    return leaf(rng) if depth == 0 or rng.random() < 0.15 else compound(rng, depth)


def leaf(rng: Rng) -> str:
    """x, or x scaled."""
    return "x" if rng.random() < 0.5 else f"{constant(rng, 1.0)} * x"


def constant(rng: Rng, median: float, spread: float = 0.7) -> float:
    """A positive number around the median, log-normal, to three digits."""
    return float(f"{median * np.exp(rng.normal(0, spread)):.3g}")


def pick(rng: Rng, things: Sequence[T]) -> T:
    """One of them, all equally likely."""
    return things[int(rng.integers(len(things)))]
