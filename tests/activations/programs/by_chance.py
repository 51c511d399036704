"""Programs by chance, for the properties."""

import numpy as np
from hypothesis import strategies as st

UNARY = ("torch.sin({})", "F.gelu({})", "{}.tanh()", "torch.exp(-torch.abs({}))", "-{}", "F.elu({}, 0.5)")
BINARY = ("{} + {}", "{} - {}", "{} * {}", "torch.maximum({}, {})", "torch.where({} > 0, 1.0, {})", "({} < {}) * x")


@st.composite
def programs(draw):
    """A program of up to eight lines over three names, with loops; its text passes the check."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    lines, known = ["def activation(x):"], ["x"]
    for _ in range(rng.integers(1, 8)):
        indent = "    "
        if rng.random() < 0.2:
            lines.append(f"    for _ in range({rng.integers(1, 4)}):")
            indent = "        "
        name = str(rng.choice(["x", "y", "z_1"]))
        lines.append(f"{indent}{name} = {expression(rng, known, 2)}")
        known.append(name)
    return "\n".join([*lines, f"    return {expression(rng, known, 2)}"])


def expression(rng, known, depth):
    """A name, a number or, in parentheses, an operation."""
    if depth == 0:
        return str(rng.choice([*known, "x", "1", "-0.5", "math.pi"]))
    template = str(rng.choice(UNARY if rng.random() < 0.4 else BINARY))
    return "(" + template.format(*(operand(rng, known, depth - 1) for _ in range(template.count("{}")))) + ")"


def operand(rng, known, depth):
    """An expression with a tensor in it: torch.sin of a number is an error of the program's own."""
    return f"({expression(rng, known, depth)} + x)" if rng.random() < 0.5 else str(rng.choice(known))
