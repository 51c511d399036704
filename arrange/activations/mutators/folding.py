"""Arithmetic that can be done before the program runs: constants folded, neutral elements gone."""

import ast
import operator
from collections.abc import Callable

FOLDS: dict[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
NEUTRAL_LEFT = {ast.Add: 0.0, ast.Mult: 1.0}
NEUTRAL_RIGHT = {ast.Add: 0.0, ast.Sub: 0.0, ast.Mult: 1.0, ast.Div: 1.0}


def folded(function: ast.FunctionDef) -> ast.FunctionDef:
    """The same function, changed in place: 2 * 3 is 6, and x * 1, x / 1, x + 0, x - 0 and --x are x.

    >>> ast.unparse(folded(ast.parse("def activation(x): return 1 * x + (2 - 2)").body[0]))
    'def activation(x):\\n    return x'
    """
    return _Folding().visit(function)


def literal(value: float) -> ast.expr:
    """A number as the parser would have read it: a negative one is a minus before a positive one."""
    number = ast.Constant(abs(value))
    return ast.UnaryOp(ast.USub(), number) if value < 0 else number


def number(node: ast.expr) -> float | None:
    """The value of a literal, the minus before it included; else None."""
    match node:
        case ast.Constant(value=int() | float() as value):
            return float(value)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -float(value)
    return None


class _Folding(ast.NodeTransformer):
    """Folds from the leaves up."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        kind, left, right = type(node.op), number(node.left), number(node.right)
        if kind in FOLDS and left is not None and right is not None and not (kind is ast.Div and right == 0):
            return literal(FOLDS[kind](left, right))
        if left is not None and left == NEUTRAL_LEFT.get(kind):
            return node.right
        if right is not None and right == NEUTRAL_RIGHT.get(kind):
            return node.left
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        self.generic_visit(node)
        match node:
            case ast.UnaryOp(op=ast.USub(), operand=ast.UnaryOp(op=ast.USub(), operand=value)):
                return value
        return node
