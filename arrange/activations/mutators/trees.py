"""Edits of a program's syntax tree: the places where another value can stand, and constants folded."""

import ast
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from arrange.activations.programs.check import dotted
from arrange.activations.programs.grammar import FUNCTIONS, MODULES

NUMBERS = frozenset(name for function in FUNCTIONS.values() for name in function.numbers)
FOLDS: dict[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
NEUTRAL_LEFT = {ast.Add: 0.0, ast.Mult: 1.0}
NEUTRAL_RIGHT = {ast.Add: 0.0, ast.Sub: 0.0, ast.Mult: 1.0, ast.Div: 1.0}


@dataclass(frozen=True)
class Place:
    """Where a value stands: a field of its owner, or an item of a field that is a list."""

    owner: ast.AST
    field: str
    item: int | None = None

    @property
    def value(self) -> ast.expr:
        """The value that stands there."""
        value = getattr(self.owner, self.field)
        return value if self.item is None else value[self.item]

    def put(self, value: ast.expr) -> None:
        """Replace the value."""
        if self.item is None:
            setattr(self.owner, self.field, value)
        else:
            getattr(self.owner, self.field)[self.item] = value


def terms(function: ast.FunctionDef) -> list[Place]:
    """The places of all values that are made of variables, calls and arithmetic: neither numbers nor conditions."""
    return [place for place in places(function) if is_term(place.value)]


def numbers(function: ast.FunctionDef) -> list[Place]:
    """The places of the numbers that can be changed a little: no exponents, dimensions or lengths of loops."""
    return [place for place in places(function) if isinstance(place.value, ast.Constant)]


def closed(value: ast.expr) -> bool:
    """Whether a value uses no variable other than x, so that it means the same in any program."""
    return {node.id for node in ast.walk(value) if isinstance(node, ast.Name)} <= {"x", *MODULES}


def places(node: ast.AST) -> Iterator[Place]:
    """Every place of a value below a function, a statement or a value, in the order of the text."""
    if isinstance(node, ast.FunctionDef | ast.For):
        for statement in node.body:
            yield from places(statement)
    for place in operands(node):
        yield place
        yield from places(place.value)


def operands(node: ast.AST) -> list[Place]:
    """The places of a node's own operands. Exponents are left out, because most other exponents give NaN."""
    match node:
        case ast.Assign() | ast.Return():
            return [Place(node, "value")]
        case ast.UnaryOp():
            return [Place(node, "operand")]
        case ast.BinOp(op=ast.Pow()):
            return [Place(node, "left")]
        case ast.BinOp():
            return [Place(node, "left"), Place(node, "right")]
        case ast.Compare():
            return [Place(node, "left"), Place(node, "comparators", 0)]
        case ast.Call(func=function, args=arguments, keywords=keywords):
            receiver = [] if dotted(function) else [Place(function, "value")]
            given = [Place(node, "args", item) for item in range(len(arguments))]
            return receiver + given + [Place(keyword, "value") for keyword in keywords if keyword.arg in NUMBERS]
    return []


def is_term(value: ast.expr) -> bool:
    """Whether a value is made of variables, calls and arithmetic: neither a number nor a condition."""
    match value:
        case ast.Name() | ast.Call():
            return True
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            return is_term(operand)
        case ast.BinOp(left=left, right=right):
            return is_term(left) or is_term(right)
    return False


def folded(function: ast.FunctionDef) -> ast.FunctionDef:
    """The same function, changed in place: 2 * 3 becomes 6; x * 1, x / 1, x + 0, x - 0 and --x become x.

    >>> ast.unparse(folded(ast.parse("def activation(x): return 1 * x + (2 - 2)").body[0]))
    'def activation(x):\\n    return x'
    """
    return _Folding().visit(function)


def literal(value: float) -> ast.expr:
    """A number as the parser reads it: a negative one is a minus before a positive one."""
    number = ast.Constant(abs(value))
    return ast.UnaryOp(ast.USub(), number) if value < 0 else number


def number(node: ast.expr) -> float | None:
    """The value of a literal, including a minus before it; None for anything else."""
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
