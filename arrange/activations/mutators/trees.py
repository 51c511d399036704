"""Where in a program's syntax tree another value could stand."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from arrange.activations.programs.check import dotted
from arrange.activations.programs.grammar import FUNCTIONS, MODULES

NUMBERS = frozenset(name for function in FUNCTIONS.values() for name in function.numbers)


@dataclass(frozen=True)
class Place:
    """A value's place: a field of its owner, or an item of one that is a list."""

    owner: ast.AST
    field: str
    item: int | None = None

    @property
    def value(self) -> ast.expr:
        """What stands there."""
        found = getattr(self.owner, self.field)
        return found if self.item is None else found[self.item]

    def put(self, value: ast.expr) -> None:
        """Let another value stand there."""
        if self.item is None:
            setattr(self.owner, self.field, value)
        else:
            getattr(self.owner, self.field)[self.item] = value


def terms(function: ast.FunctionDef) -> list[Place]:
    """The places of everything that is made of x: of variables, calls and arithmetic, but not of conditions."""
    return [place for place in places(function) if is_term(place.value)]


def numbers(function: ast.FunctionDef) -> list[Place]:
    """The places of the numbers that can be changed a little: no exponents, no dimensions, no loops' lengths."""
    return [place for place in places(function) if isinstance(place.value, ast.Constant)]


def closed(value: ast.expr) -> bool:
    """Whether it names no variable but x, so that it means the same in any program."""
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
    """The places of a node's own operands; an exponent is none: most others than the one there give NaN."""
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
    """Whether it is made of variables, calls and arithmetic: neither a number nor a condition."""
    match value:
        case ast.Name() | ast.Call():
            return True
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            return is_term(operand)
        case ast.BinOp(left=left, right=right):
            return is_term(left) or is_term(right)
    return False
