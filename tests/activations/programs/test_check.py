"""The check lets the grammar through and nothing else; what it lets through sees nothing but the grammar."""

import math
import types

import pytest
import torch
from activations.programs.by_chance import programs
from hypothesis import given, settings
from torch.nn import functional as F  # noqa: N812, its usual name

from arrange.activations.programs.check import CHARACTERS, LOOPS, NODES, Rejected, check, compile_program
from arrange.activations.programs.grammar import CONSTANTS, FUNCTIONS, KEEPS_SHAPE, METHODS, facades

X = torch.linspace(-3, 3, 13)


def program(*lines: str) -> str:
    return "\n".join(["def activation(x):", *(f"    {line}" for line in lines)])


def reason(source: str) -> str:
    with pytest.raises(Rejected) as caught:
        check(source)
    return caught.value.reason


@pytest.mark.parametrize(
    ("body", "meant"),
    [
        ("return F.gelu(x) + 0.1 * torch.sin(x)", lambda x: F.gelu(x) + 0.1 * x.sin()),
        ("return F.gelu(x) * (1 + 0.5 * torch.sinc(x))", lambda x: F.gelu(x) * (1 + 0.5 * x.sinc())),
        (
            "y = -x ** 2 / 5  # a comment\n    return (3 * x).tanh() * y.exp()",
            lambda x: (3 * x).tanh() * (-x * x / 5).exp(),
        ),
        ("z = (x - x.mean(dim=-1, keepdim=True)) / x.std()\n    return z", lambda x: (x - x.mean()) / x.std()),
        ("for _ in range(3):\n        x = torch.sin(x)\n    return x", lambda x: x.sin().sin().sin()),
        ("return torch.where((x > -1) & (x <= 1), x, 7)", lambda x: torch.where((x > -1) & (x <= 1), x, 7)),
        ("return F.elu(x, 0.5) % math.pi", lambda x: F.elu(x, 0.5) % math.pi),
        ("return torch.clamp(x, -1, max=2)", lambda x: x.clamp(-1, 2)),
        ("return F.softplus(x, beta=2)", lambda x: F.softplus(x, beta=2)),
        ("return ~(x == 1) * x.softmax(dim=-1)", lambda x: ~(x == 1) * x.softmax(-1)),
    ],
)
def test_programs_within_the_grammar_compute_what_they_say(body, meant):
    torch.testing.assert_close(compile_program(program(body))(X), meant(X))


@pytest.mark.parametrize("signature", ["(x)", "(x: Tensor) -> Tensor", "(x: torch.Tensor)", "(x) -> torch.Tensor"])
def test_annotations_and_a_docstring_may_be_there(signature):
    activation = compile_program(f"def activation{signature}:\n    'It says so.'\n    return x + 1")
    assert torch.equal(activation(X), X + 1)


@pytest.mark.parametrize(
    "body",
    [
        "return x.__class__",
        "return ().__class__.__bases__[0].__subclasses__()",
        "return x.data",
        "return x.shape",
        "return x[0]",
        "return x[:, None]",
        "return torch.load('weights')",
        "return torch.save(x, 'scores')",
        "return torch.ops.aten.add(x, x)",
        "return torch.hub.load('a/b', 'c')",
        "return torch.from_file('scores')",
        "return torch.rand_like(x)",
        "return torch.manual_seed(0)",
        "return torch.nn.functional.relu(x)",
        "return torch.dropout(x, 0.5, True)",
        "return F.dropout(x)",
        "return F.relu(x, True)",
        "return F.relu(x, inplace=True)",
        "return F.elu(x, 1.0, True)",
        "return torch.exp(x, out=x)",
        "return torch.exp(*x)",
        "return torch.exp(**x)",
        "return torch.exp()",
        "return torch.exp",
        "return torch",
        "return x.add_(1)",
        "return x.exp_()",
        "return x.register_hook(torch.exp)",
        "return x.__setattr__('a', 1)",
        "return x.backward()",
        "return x.numpy()",
        "return x.item()",
        "return x.to(torch.float16)",
        "return x.half()",
        "return x.apply_(print)",
        "return math.factorial(9)",
        "return abs(x)",
        "return open('/etc/passwd')",
        "return eval('x')",
        "return exec('x')",
        "return __import__('os').system('true')",
        "return getattr(x, 'data')",
        "return globals()",
        "return __builtins__",
        "return range(3)",
        "return activation(x)",
        "return y",
        "return (lambda: x)()",
        "return (y := x)",
        "return [y for y in x]",
        "return sum(y for y in x)",
        "return {1: x}",
        "return (x, x)",
        "return [x]",
        "return 'text'",
        "return f'{x}'",
        "return b'bytes'",
        "return None",
        "return True",
        "return ...",
        "return 1j * x",
        "return 1e7 * x",
        "return 1e999 * x",
        "return 10000000 * x",
        "return x @ x",
        "return x // 2",
        "return x << 2",
        "return x and x",
        "return not x",
        "return x is x",
        "return x in x",
        "return 0 < x < 1",
        "return x if x else x",
        "return x.softmax()",
        "return x.softmax(dim=-1, keepdim=True)",
        "return x.mean(dim=7)",
        "return x.mean(dim=x)",
        "return x.mean(-1)",
        "return torch.exp(x, dim=-1)",
        "return x.mean(dim=-1, keepdim=1)",
        "return x.mean(dtype=torch.float64)",
        "return await x",
        "return",
        "pass",
        "x.a = 1\n    return x",
        "x[0] = 1\n    return x",
        "x += 1\n    return x",
        "y: Tensor = x\n    return y",
        "y = z = x\n    return y",
        "y, z = x\n    return y",
        "_ = x\n    return _",
        "_y = x\n    return x",
        "y_ = x\n    return x",
        "a__b = x\n    return x",
        "torch = x\n    return x",
        "math = x\n    return x",
        "activation = x\n    return x",
        "é = x\n    return x",
        "del x\n    return 1",
        "global y\n    y = 1\n    return x",
        "import os\n    return x",
        "from os import path\n    return x",
        "assert x\n    return x",
        "raise x",
        "yield x\n    return x",
        "if 1: x = 2\n    return x",
        "while 1: x = x\n    return x",
        "try:\n        x = 1\n    except: x = 2\n    return x",
        "with x: y = 1\n    return x",
        "def f(y): return y\n    return f(x)",
        "class A: y = 1\n    return x",
        "return x\n    y = x",
        "for _ in range(17): x = x\n    return x",
        "for _ in range(0): y = x\n    return y",
        "for _ in range(-1): x = x\n    return x",
        "for _ in range(2.0): x = x\n    return x",
        "for _ in range(True): x = x\n    return x",
        "for _ in range(1, 2): x = x\n    return x",
        "for _ in range(x): x = x\n    return x",
        "for _ in x: x = x\n    return x",
        "for y in range(2): x = x\n    return x",
        "for _ in range(2): return x\n    return x",
        "for _ in range(2): x = x\n    else: x = x\n    return x",
    ],
)
def test_everything_else_is_forbidden(body):
    assert reason(program(body)) in ("forbidden", "syntax")


@pytest.mark.parametrize(
    "source",
    [
        "",
        "import os",
        "import torch\ndef activation(x): return x",
        "def activation(x): return x\nprint(1)",
        "def activation(x): return x\ndef activation(x): return x",
        "def other(x): return x",
        "def activation(y): return y",
        "def activation(x, y): return x",
        "def activation(x, y=[]): return x",
        "def activation(x=1): return x",
        "def activation(x, /): return x",
        "def activation(*, x): return x",
        "def activation(*x): return x",
        "def activation(x, **y): return x",
        "def activation(x: print(1)): return x",
        "def activation(x) -> print(1): return x",
        "@print\ndef activation(x): return x",
        "async def activation(x): return x",
        "activation = torch.exp",
        "class activation: pass",
        "def activation(x): '''only this'''",
        "'''text'''\ndef activation(x): return x",
        "def activation(x): return '\\d'",
    ],
)
def test_another_signature_or_more_than_the_function_is_forbidden(source):
    assert reason(source) == "forbidden"


@pytest.mark.parametrize(
    "source", ["def activation(x): return x +", "def", "\0", "def activation(x):\nreturn x", "\ud800"]
)
def test_text_that_is_no_python_is_a_syntax_error(source):
    assert reason(source) == "syntax"


@pytest.mark.parametrize(
    "source",
    [
        program("return x" + " + x" * CHARACTERS),
        program("return " + "(" * 150 + "x" + ")" * 150 + " + -" + "-" * 100 + "x"),
        program("return " + "-" * 3900 + "x"),
        program("return " + "~" * 3900 + "[]"),
        program("for _ in range(16):", *["    for _ in range(16):", "        x = x + x + x + x + x + x"], "return x"),
    ],
)
def test_what_is_too_large_or_too_deep_is_refused_by_size(source):
    assert reason(source) == "size"


def test_loops_count_by_their_rounds():
    inner = "torch.sin(" * 5 + "x" + ")" * 5  # six nodes
    assert 16 * 16 * 6 + 1 <= NODES < 16 * 16 * 8 + 1
    check(program("for _ in range(16):", "    for _ in range(16):", f"        x = {inner}", "return x"))
    deeper = program(
        "for _ in range(16):", "    for _ in range(16):", f"        x = torch.sin(torch.sin({inner}))", "return x"
    )
    assert reason(deeper) == "size"


@pytest.mark.parametrize(
    "lines",
    [
        ("return x * 10 ** 10 ** 10",),
        ("y = 9", "for _ in range(9): y = y ** 9", "return x * y"),
        ("y = 1e6", "y = y * 10", "return x * y"),
        ("return x * (-1) ** 0.5",),
        ("return x * (-8) ** (1 / 3)",),
        ("return x / (1 - 1) + 1 / 0",),
        ("return x * (1 % 0)",),
        ("return x * math.log(0)",),
        ("return x * math.sqrt(-1)",),
        ("return x * math.exp(1000)",),
        ("y = 2", "z = 1", "for _ in range(5):", "    z = y", "    y = y * y", "return x * z * y"),
    ],
)
def test_numbers_stay_real_and_small(lines):
    assert reason(program(*lines)) == "number"


@pytest.mark.parametrize(
    "lines",
    [
        ("t = (1 < 2) + (1 < 2)", "return x * t ** t ** t"),
        ("y = x", "for _ in range(2):", "    z = y < 1", "    y = 1", "return x * z"),
        ("return x * ~1",),
        ("return x * (1 & 2)",),
        ("return x * torch.exp(2)",),
        ("return x + math.sqrt(x.mean())",),
    ],
)
def test_numbers_have_arithmetic_and_nothing_else(lines):
    assert reason(program(*lines)) == "forbidden"


def test_what_is_computed_from_numbers_is_that_of_floats():
    meant = 2**0.5 * math.sin(1) - 7 % 4 / 3 + math.pi
    activation = compile_program(program("y = 2 ** 0.5 * math.sin(+1)", "return x * (y - 7 % 4 / 3 + math.pi)"))
    assert torch.equal(activation(X), X * meant)


def test_loops_may_be_nested_four_deep():
    def nested(count):
        lines = ["    " * n + "for _ in range(1):" for n in range(count)]
        return program(*lines, "    " * count + "x = -x", "return x")

    assert torch.equal(compile_program(nested(LOOPS))(X), -X)
    for count in (LOOPS + 1, 25):  # Python refuses more than 20 by an error of its own
        assert reason(nested(count)) == "size"


def test_a_program_sees_the_listed_functions_and_no_module():
    activation = compile_program("def activation(x): return x")
    assert set(activation.__globals__["__builtins__"]) == {"range", "__import__"}
    assert activation.__globals__["__builtins__"]["__import__"]("os") is None
    for name, facade in facades().items():
        assert isinstance(facade, types.SimpleNamespace)
        assert {f"{name}.{attribute}" for attribute in vars(facade)} <= {*FUNCTIONS, *CONSTANTS}
    assert not any(isinstance(value, types.ModuleType) for value in activation.__globals__.values())


@pytest.mark.parametrize("name", sorted(name for name in FUNCTIONS if not name.startswith("math.")))
def test_each_function_runs_as_the_table_says_and_leaves_its_operands(name):
    function = FUNCTIONS[name]
    operands = ["x > 0.5" if name == "torch.where" else "x", "x", "x"][: function.operands]
    axis = [["dim=-1"], *([] if name.split(".")[1] in KEEPS_SHAPE else [["dim=-1", "keepdim=True"], []])]
    x = torch.linspace(0.1, 0.9, 12).reshape(3, 4)
    for axes in axis if function.reduces else [[]]:
        for numbers in ([], ["0.5", "0.75"][: len(function.numbers)]):
            if name == "torch.clamp" and not numbers:
                continue
            activation = compile_program(program(f"return {name}({', '.join([*operands, *numbers, *axes])})"))
            before = x.clone()
            assert type(activation(x)) is torch.Tensor
            assert torch.equal(x, before)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_method_is_the_function_of_its_name(name):
    rest = ", ".join(
        ["x"] * (FUNCTIONS[f"torch.{name}"].operands - 1)
        + ["dim=-1"] * (name in KEEPS_SHAPE)
        + ["min=0.5"] * (name == "clamp")
    )
    method, function = (
        compile_program(program(f"return x.{name}({rest})")),
        compile_program(program(f"return torch.{name}(x{', ' * bool(rest)}{rest})")),
    )
    x = torch.linspace(1.1, 1.9, 12)
    assert torch.equal(method(x).nan_to_num(7), function(x).nan_to_num(7))


@given(programs())
@settings(max_examples=50, deadline=None)
def test_programs_by_chance_pass(source):
    assert check(source).name == "activation"
