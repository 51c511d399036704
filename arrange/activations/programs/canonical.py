"""The canonical text of a program: the same for all programs that do the same operations on the same operands.

Value numbering (Cocke and Schwartz, 1970): the program is run on symbols. Each operation becomes a node, the same
operation on the same nodes is the same node, and the canonical text has one line for each node. So it does not depend
on names, the order of independent lines, unused lines, loops and repeated subexpressions. Arithmetic of numbers is
done, and numbers are those that training computes with, which are float32's: x * 1.000000001 is x * 1.
"""

import ast
import hashlib
from dataclasses import dataclass, replace

import numpy as np

from arrange.activations.programs.check import Rejected, arithmetic, called, check, dotted, rounds
from arrange.activations.programs.grammar import CONSTANTS, FUNCTIONS

COMMUTATIVE = (
    *("{} + {}", "{} * {}", "{} & {}", "{} | {}", "{} == {}", "{} != {}"),
    *("torch.hypot({}, {})", "torch.maximum({}, {})", "torch.minimum({}, {})"),
)
SYMBOLS: dict[type[ast.AST], str] = {
    **{ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Mod: "%", ast.Pow: "**"},
    **{ast.BitAnd: "&", ast.BitOr: "|", ast.USub: "-", ast.Invert: "~"},
    **{ast.Lt: "<", ast.LtE: "<=", ast.Eq: "==", ast.NotEq: "!="},
}
SWAPPED: dict[type[ast.AST], str] = {ast.Gt: "<", ast.GtE: "<="}  # a > b is b < a


@dataclass(frozen=True, eq=False)
class Node:
    """An operation: `template` with a hole per operand; a leaf has none. `key` is the hash of the whole subtree.

    `number` is the exact value of a leaf that is a number.
    """

    template: str
    operands: tuple["Node", ...] = ()
    key: str = ""
    number: float | None = None


def canonical(source: str) -> str:
    """The program's canonical text: a program with one operation a line that computes the same.

    It is the same for programs that differ in names, comments, annotations, unused lines, spellings of a number, sides
    of commutative operations, methods or functions, loops or their unrolled form; but x + x is not 2 * x.

    Raises Rejected as `check` does.

    >>> print(canonical("def activation(x): y = 2; return torch.tanh(x) * y"))
    def activation(x):
        a0 = torch.tanh(x)
        a1 = a0 * 2.0
        return a1
    """
    function = check(source)
    return _text(_run(function.body, {"x": _node("x")}))


def canonical_or_source(source: str) -> str:
    """The canonical text of a program; of one that the check rejects, its source."""
    try:
        return canonical(source)
    except Rejected:
        return source


def _node(template: str, *operands: Node) -> Node:
    if template in COMMUTATIVE:
        operands = tuple(sorted(operands, key=_order))
    digest = hashlib.sha256("\n".join([template, *(operand.key for operand in operands)]).encode())
    return Node(template, operands, digest.hexdigest())


def _leaf(number: float) -> Node:
    """A number, written with the digits that tell float32's numbers apart."""
    return replace(_node(str(np.float32(number))), number=number)


def _order(node: Node) -> tuple[int, str, str]:
    """The order of operands: x first, then computed values, then numbers; ties by template and key."""
    kind = 0 if node.template == "x" else 1 if node.operands else 2
    return kind, node.template, node.key


def _run(body: list[ast.stmt], values: dict[str, Node]) -> Node:
    """Run the statements on symbols; the value of the last one."""
    value = values["x"]
    for statement in body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=expression):
                value = values[name] = _value(expression, values)
            case ast.For(body=inner):
                for _ in range(rounds(statement)):
                    _run(inner, values)
            case ast.Return(value=ast.expr() as expression):
                value = _value(expression, values)
    return value


def _value(node: ast.expr, values: dict[str, Node]) -> Node:
    match node:
        case ast.Constant(value=int() | float() as number):
            return _leaf(float(number))
        case ast.Name(id=name):
            return values[name]
        case ast.Attribute():
            return _leaf(CONSTANTS[dotted(node)])
        case ast.UnaryOp(operand=operand):
            return _numbers(node, below := [_value(operand, values)]) or _unary(node.op, *below)
        case ast.BinOp(left=left, right=right):
            return _numbers(node, below := [_value(left, values), _value(right, values)]) or _binary(node.op, *below)
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return _binary(op, _value(left, values), _value(right, values))
        case ast.Call(args=arguments) if dotted(node.func).startswith("math."):
            return _numbers(node, [_value(each, values) for each in arguments]) or _call(node, values)
        case ast.Call():
            return _call(node, values)
    raise AssertionError(f"the check allows {type(node).__name__}, and the canonical text does not handle it")


def _numbers(node: ast.expr, operands: list[Node]) -> Node | None:
    """The number that an operation on numbers gives; None for one on a tensor."""
    numbers = [operand.number for operand in operands if operand.number is not None]
    return _leaf(arithmetic(node, numbers)) if len(numbers) == len(operands) else None


def _unary(op: ast.unaryop, operand: Node) -> Node:
    if isinstance(op, ast.UAdd):
        return operand
    return _node("-{}" if isinstance(op, ast.USub) else "~{}", operand)


def _binary(op: ast.operator | ast.cmpop, left: Node, right: Node) -> Node:
    if type(op) in SWAPPED:
        return _node(f"{{}} {SWAPPED[type(op)]} {{}}", right, left)
    if isinstance(op, ast.Sub) and right.number is not None:
        return _node("{} + {}", left, _leaf(-right.number))  # x - 1 is x + -1
    return _node(f"{{}} {SYMBOLS[type(op)]} {{}}", left, right)


def _call(node: ast.Call, values: dict[str, Node]) -> Node:
    """Operands by place, numbers by name in the names' order, then axes. A function of both F and torch is torch's."""
    path, arguments = called(node)
    function = FUNCTIONS[path]
    operands = arguments[: function.operands]
    numbers = dict(zip(function.numbers, arguments[function.operands :], strict=False))
    numbers |= {word.arg: word.value for word in node.keywords if word.arg in function.numbers}
    axes = sorted(ast.unparse(word) for word in node.keywords if word.arg not in function.numbers)
    if path.replace("F.", "torch.") in FUNCTIONS:
        path = path.replace("F.", "torch.")
    holes = ", ".join(["{}"] * len(operands) + [f"{name}={{}}" for name in sorted(numbers)] + axes)
    below = [*operands, *(numbers[name] for name in sorted(numbers))]
    return _node(f"{path}({holes})", *(_value(argument, values) for argument in below))


def _text(root: Node) -> str:
    """A line per operation, each below its operands. It does not recurse, because a chain may be long."""
    names: dict[str, str] = {}  # by the node's key
    lines = ["def activation(x):"]
    stack = [root]
    while stack:
        node = stack.pop()
        waiting = [operand for operand in reversed(node.operands) if operand.key not in names]
        if waiting:
            stack += [node, *waiting]
        elif node.operands and node.key not in names:
            text = node.template.format(*(names[operand.key] for operand in node.operands))
            names[node.key] = f"a{len(lines) - 1}"
            lines.append(f"    {names[node.key]} = {text}")
        elif not node.operands:
            names[node.key] = f"({node.template})" if node.template.startswith("-") else node.template
    return "\n".join([*lines, f"    return {names[root.key]}"])
