"""Evaluates formulas in text without `eval`: arithmetic, pi and a few functions, nothing else."""

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    **{ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv},
    **{ast.Pow: operator.pow, ast.USub: operator.neg},
}
FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    **{"sqrt": np.sqrt, "exp": np.exp, "ln": np.log},
    **{"sin": np.sin, "cos": np.cos, "tanh": np.tanh, "arcsin": np.arcsin},
}


def evaluate(formula: str, variables: Mapping[str, np.ndarray]) -> np.ndarray:
    """The formula's values. Raises ValueError for anything other than arithmetic, FUNCTIONS, pi and the variables.

    >>> evaluate("sqrt(a**2 + b**2)", {"a": np.array([3.0]), "b": np.array([4.0])}).tolist()
    [5.0]
    """
    return _value(ast.parse(formula, mode="eval").body, {"pi": math.pi, **variables})


def _value(node: ast.expr, names: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.Name(id=name) if name in names:
            return names[name]
        case ast.UnaryOp(op=op, operand=operand) if type(op) in OPERATORS:
            return OPERATORS[type(op)](_value(operand, names))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            return OPERATORS[type(op)](_value(left, names), _value(right, names))
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in FUNCTIONS:
            return FUNCTIONS[name](_value(argument, names))
    raise ValueError(f"a formula can't have `{ast.unparse(node)}`")
