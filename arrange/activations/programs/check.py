"""The first wall around programs: a program may use only what is on a list, and sees nothing else when it runs.

The check reads the text as Python's syntax tree and refuses every kind of node, name and call that is not on the list.
The second wall is the sandbox, which contains what might get past the check.
"""

import ast
import math
import operator
import re
from collections.abc import Callable, Sequence

from arrange.activations.evaluation import Activation
from arrange.activations.programs.grammar import CONSTANTS, FUNCTIONS, KEEPS_SHAPE, METHODS, MODULES, facades

CHARACTERS = 4_000
NODES = 2_000  # of the syntax tree, those in a loop's body counted once per round
DEPTH = 40
ROUNDS = 16  # of one loop
LOOPS = 4  # inside each other; Python itself refuses more than 20
LARGEST = 1e6  # number, written or computed

OPERATORS = (
    *(ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Mod, ast.Pow, ast.BitAnd, ast.BitOr),
    *(ast.USub, ast.UAdd, ast.Invert),
    *(ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq),
)
ARITHMETIC: dict[type, Callable[..., float]] = {
    **{ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv},
    **{ast.Mod: operator.mod, ast.Pow: operator.pow, ast.USub: operator.neg, ast.UAdd: operator.pos},
}
NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*")  # no underscore at either end, no two in a row
RESERVED = frozenset({*MODULES, "x", "activation", "range", "Tensor"})


class Rejected(Exception):  # noqa: N818, an answer, not an error
    """The reason for which a program is refused.

    reason: one word, which is recorded; detail: one line for people.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def check(source: str) -> ast.FunctionDef:
    """The syntax tree of a program `def activation(x)` within the grammar, without annotations and docstring.

    The body has assignments to local names, `for _ in range(n)` with a literal n <= 16, and one `return` at the end.
    Expressions are arithmetic, comparisons, numbers, and calls of the functions that `grammar` lists. What is computed
    from numbers alone is computed here too: it is a real number within +-LARGEST, no integer, no True, not complex.

    Raises Rejected: `syntax`, `size`, `forbidden` or `number`.

    >>> check("def activation(x): return x * torch.sigmoid(x)").name
    'activation'
    >>> check("def activation(x): return open('scores')")
    Traceback (most recent call last):
    arrange.activations.programs.check.Rejected: forbidden: line 1: a call of `open`
    """
    try:
        function = _only_function(_parse(source))
        _signature(function)
        _Body(function)
    except (RecursionError, MemoryError):
        raise Rejected("size", "nested too deeply to be read") from None
    return function


def compile_program(source: str) -> Activation:
    """The program as a function of a tensor. It sees stand-ins for torch, F and math, and `range` of the builtins.

    Numbers are floats, as the check computed them, so that none can grow.

    Raises Rejected as `check` does.
    """
    function = Floats().visit(check(source))
    module = ast.fix_missing_locations(ast.Module([function], []))
    scope: dict = {"__builtins__": {"range": range, "__import__": _nothing}, **facades()}
    exec(compile(module, "<activation>", "exec"), scope)
    return scope["activation"]


def _nothing(*_: object) -> None:
    """The program's `__import__`. torch's C code calls it, and then takes the module from Python's own table."""


def dotted(node: ast.AST) -> str:
    """`torch.exp` for the node of torch.exp; "" for a node that is not a name of one of the modules."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in MODULES:
        return f"{node.value.id}.{node.attr}"
    return ""


def called(call: ast.Call) -> tuple[str, list[ast.expr]]:
    """The name and the operands of a call. A tensor's method has the function's name: `x.exp()` is torch.exp."""
    path = dotted(call.func)
    if not path and isinstance(call.func, ast.Attribute) and call.func.attr in METHODS:
        return f"torch.{call.func.attr}", [call.func.value, *call.args]
    return path, call.args


def rounds(loop: ast.For) -> int:
    """How often a loop's body runs.

    Raises Rejected unless it is `for _ in range(n)` with a literal 1 <= n <= 16.
    """
    match loop:
        case ast.For(
            target=ast.Name(id="_"),
            iter=ast.Call(func=ast.Name(id="range"), args=[ast.Constant(value=int(n))], keywords=[]),
            orelse=[],
        ) if type(n) is int and 1 <= n <= ROUNDS:
            return n
    raise _forbidden(loop, f"a loop other than `for _ in range(n)` with n up to {ROUNDS}")


def _parse(source: str) -> ast.Module:
    if len(source) > CHARACTERS:
        raise Rejected("size", f"{len(source)} characters, {CHARACTERS} are allowed")
    if "\\" in source:  # only strings need one, and Python warns of some
        raise Rejected("forbidden", "a backslash")
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError) as error:
        raise Rejected("syntax", f"line {getattr(error, 'lineno', 0)}: {getattr(error, 'msg', error)}") from None


def _forbidden(node: ast.AST, what: str) -> Rejected:
    return Rejected("forbidden", f"line {getattr(node, 'lineno', 0)}: {what}")


def _only_function(module: ast.Module) -> ast.FunctionDef:
    match module.body:
        case [ast.FunctionDef(name="activation") as function]:
            return function
    raise Rejected("forbidden", "something other than one `def activation(x)`")


def _signature(function: ast.FunctionDef) -> None:
    """Refuse any signature other than (x) or (x: Tensor) -> Tensor; then remove annotations and docstring."""
    match function.args:
        case ast.arguments(
            posonlyargs=[], args=[ast.arg(arg="x")], vararg=None, kwonlyargs=[], kwarg=None, defaults=[]
        ):
            pass
        case _:
            raise _forbidden(function, "another signature than activation(x)")
    for annotation in (function.args.args[0].annotation, function.returns):
        if annotation is not None and ast.unparse(annotation) not in ("Tensor", "torch.Tensor"):
            raise _forbidden(function, "an annotation other than Tensor")
    if function.decorator_list or getattr(function, "type_params", []):
        raise _forbidden(function, "a decorator or a type parameter")
    function.args.args[0].annotation = function.returns = None
    if ast.get_docstring(function) is not None:
        del function.body[0]


def arithmetic(node: ast.expr, values: Sequence[float]) -> float:
    """The value of one operation or call on numbers alone.

    Raises Rejected: `number` unless the value is a real number within +-LARGEST; `forbidden` for what is no arithmetic.
    """
    function: Callable[..., float] | None = None
    match node:
        case ast.UnaryOp(op=op) | ast.BinOp(op=op):
            function = ARITHMETIC.get(type(op))
        case ast.Call(func=ast.Attribute(value=ast.Name(id="math"), attr=name)):
            function = getattr(math, name)
    if function is None:
        raise _forbidden(node, f"no tensor in `{ast.unparse(node)[:60]}`")
    try:
        value = function(*values)
    except (ArithmeticError, ValueError):
        value = math.nan
    if isinstance(value, complex) or not abs(value) <= LARGEST:
        line = getattr(node, "lineno", 0)
        raise Rejected("number", f"line {line}: `{ast.unparse(node)[:60]}` is no real number within +-{LARGEST:g}")
    return value


class _Body:
    """Checks a function's body in the order in which it runs, each loop round by round.

    `names` are those that exist by then, each with its value where it is a number, and None where it is a tensor.
    """

    def __init__(self, function: ast.FunctionDef) -> None:
        self.names: dict[str, float | None] = {"x": None}
        self.nodes = 0
        if not function.body or not isinstance(function.body[-1], ast.Return) or function.body[-1].value is None:
            raise _forbidden(function, "no `return` of a value at the end")
        for statement in function.body[:-1]:
            self.statement(statement, 0)
        self.expression(function.body[-1].value, 0)

    def statement(self, node: ast.stmt, loops: int) -> None:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                computed = self.expression(value, 0)
                self.assign(node, name, computed)
            case ast.For():
                if loops == LOOPS:
                    raise Rejected("size", f"line {node.lineno}: more than {LOOPS} loops inside each other")
                for _ in range(rounds(node)):
                    for statement in node.body:
                        self.statement(statement, loops + 1)
            case _:
                raise _forbidden(node, f"a statement of the kind {type(node).__name__}")

    def assign(self, node: ast.AST, name: str, value: float | None) -> None:
        if name in RESERVED - {"x"} or not NAME.fullmatch(name):
            raise _forbidden(node, f"a local named `{name}`")
        self.names[name] = value

    def expression(self, node: ast.expr, depth: int) -> float | None:
        """Check an expression; its value where it is a number, None where it is a tensor."""
        self.nodes += 1
        if self.nodes > NODES:
            raise Rejected("size", f"more than {NODES} operations and operands, loops counted round by round")
        if depth > DEPTH:
            raise Rejected("size", f"nested more than {DEPTH} deep")
        operands = self.operands(node)
        values = [self.expression(operand, depth + 1) for operand in operands]
        match node:
            case ast.Constant(value=int() | float() as number):
                return float(number)
            case ast.Name(id=name):
                return self.names[name]
            case ast.Attribute():
                return CONSTANTS[dotted(node)]
        numbers = [value for value in values if value is not None]
        if len(numbers) == len(values):
            return arithmetic(node, numbers)
        if isinstance(node, ast.Call) and dotted(node.func).startswith("math."):
            raise _forbidden(node, f"`{dotted(node.func)}` of a tensor")
        return None

    def operands(self, node: ast.expr) -> list[ast.expr]:
        """Refuse the node, or return its operands, which are checked next."""
        match node:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool) and abs(value) <= LARGEST:
                return []
            case ast.Name(id=name) if name in self.names:
                return []
            case ast.Attribute() if dotted(node) in CONSTANTS:
                return []
            case ast.UnaryOp(op=op, operand=operand) if isinstance(op, OPERATORS):
                return [operand]
            case ast.BinOp(left=left, op=op, right=right) if isinstance(op, OPERATORS):
                return [left, right]
            case ast.Compare(left=left, ops=[op], comparators=[right]) if isinstance(op, OPERATORS):
                return [left, right]
            case ast.Call():
                return self.call(node)
        raise _forbidden(node, _named(node))

    def call(self, node: ast.Call) -> list[ast.expr]:
        path, operands = called(node)
        if path not in FUNCTIONS:
            raise _forbidden(node, f"a call of `{ast.unparse(node.func)[:60]}`")
        function = FUNCTIONS[path]
        if not function.operands <= len(operands) <= function.operands + len(function.numbers):
            raise _forbidden(node, f"`{path}` with {len(operands)} operands")
        if path.split(".")[1] in KEEPS_SHAPE and "dim" not in [keyword.arg for keyword in node.keywords]:
            raise _forbidden(node, f"`{path}` without `dim=`")
        named = [keyword for keyword in node.keywords if keyword.arg in function.numbers]
        for keyword in node.keywords:
            if keyword not in named and not (function.reduces and _axis(keyword, path)):
                raise _forbidden(node, f"`{path}` with the argument `{keyword.arg}`")
        return operands + [keyword.value for keyword in named]


def _axis(keyword: ast.keyword, path: str) -> bool:
    """Whether it is `dim=` of a literal axis, or `keepdim=` of True or False."""
    if keyword.arg == "keepdim" and path.split(".")[1] not in KEEPS_SHAPE:
        return isinstance(keyword.value, ast.Constant) and type(keyword.value.value) is bool
    return keyword.arg == "dim" and ast.unparse(keyword.value) in ("-3", "-2", "-1", "0", "1", "2")


def _named(node: ast.expr) -> str:
    text = "a constant" if isinstance(node, ast.Constant) else type(node).__name__
    return f"{text}: `{ast.unparse(node)[:60]}`"


class Floats(ast.NodeTransformer):
    """Turns every number into a float, except axes and the number of a loop's rounds."""

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        return ast.copy_location(ast.Constant(float(node.value)), node)  # type: ignore[arg-type]

    def visit_keyword(self, node: ast.keyword) -> ast.keyword:
        return node if node.arg in ("dim", "keepdim") else ast.keyword(node.arg, self.visit(node.value))

    def visit_For(self, node: ast.For) -> ast.For:
        node.body = [self.visit(statement) for statement in node.body]
        return node
