"""Found functions as files: what is written, what is read, and what is refused."""

import ast
import subprocess
import sys

import pytest
import torch

from arrange import activations
from arrange.activations.classical import CLASSICAL
from arrange.activations.mined import MINED, gelusine, turbulent
from arrange.activations.programs import files
from arrange.activations.programs.check import Rejected, compile_program
from arrange.errors import UserError

X = torch.linspace(-3, 3, 24, dtype=torch.float64)
LIBRARY = CLASSICAL | MINED
LOOPS = "".join(f"{'    ' * depth}for _ in range(1):\n" for depth in range(1, 26))
NESTED = f"def activation(x):\n    y = x\n{LOOPS}{'    ' * 26}x = x\n    return x"


@pytest.mark.parametrize("name", LIBRARY)
def test_the_librarys_functions_are_programs_of_the_grammar(name):
    assert torch.equal(compile_program(files.source_of(LIBRARY[name]))(X), LIBRARY[name](X))


@pytest.mark.parametrize("function", [gelusine, turbulent])
def test_what_was_saved_is_loaded_and_computes_the_same_bits(tmp_path, function):
    files.save(tmp_path / "best.py", files.source_of(function), {"fitness": 0.12, "parents": [3, 4]})
    assert torch.equal(activations.load(str(tmp_path / "best.py"))(X), function(X))
    assert (tmp_path / "best.py").read_text().startswith("# fitness: 0.12\n# parents: [3, 4]\n\nimport math\n")


def test_a_saved_file_works_alone_and_with_the_numbers_that_were_measured(tmp_path):
    """With whole numbers, the mean of 1s and 0s is an error."""
    source = "def activation(x):\n    return x * torch.mean(torch.where(x > 0, 1, 0)) ** -1"
    files.save(tmp_path / "best.py", source, {})
    alone = "import torch, best; print(best.activation(torch.tensor([2.0, -1.0, 3.0, -1.0])).tolist())"
    command = [sys.executable, "-I", "-c", f"import sys; sys.path.append({str(tmp_path)!r}); {alone}"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ast.literal_eval(ran.stdout) == [4.0, -2.0, 6.0, -2.0]
    assert activations.load(tmp_path / "best.py")(torch.tensor([2.0, -1.0])).tolist() == [4.0, -2.0]


def test_saving_twice_gives_the_same_bytes_and_what_is_saved_can_be_saved_again(tmp_path):
    files.save(tmp_path / "a.py", files.source_of(gelusine), {"seed": 1})
    code = (tmp_path / "a.py").read_text().partition("Tensor\n\n\n")[2]
    files.save(tmp_path / "b.py", code, {"seed": 1})
    assert (tmp_path / "a.py").read_bytes() == (tmp_path / "b.py").read_bytes()


@pytest.mark.parametrize("newline", ["\n", "\r", "\r\n", "\f", "\x1c", "\u2028", "\x85"])
def test_a_note_cannot_become_code(tmp_path, newline):
    note = f"good{newline}import os; os.system('true')"
    files.save(tmp_path / "best.py", files.source_of(gelusine), {"note": note, f"a{newline}b": 1})
    names = [
        alias.name
        for node in ast.parse((tmp_path / "best.py").read_text()).body
        for alias in getattr(node, "names", [])
    ]
    assert names == ["math", "torch", "torch.nn.functional", "Tensor"]
    assert torch.equal(activations.load(tmp_path / "best.py")(X), gelusine(X))


def test_only_programs_are_saved(tmp_path):
    with pytest.raises(Rejected, match="forbidden"):
        files.save(tmp_path / "best.py", "def activation(x): return open(x)", {})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import os\ndef activation(x):\n    return x\n", "forbidden: something other than one `def activation"),
        ("import torch; import os\ndef activation(x): return x", "forbidden"),
        ("print(1)\ndef activation(x): return x", "forbidden"),
        ("def activation(x): return x.__class__", "forbidden: line 1"),
        (
            "import torch\n\ndef activation(x):\n    return torch.load('a')\n",
            r"forbidden: line 4: a call of `torch.load`",
        ),
        ("def activation(x: print(1)): return x", "forbidden: line 1: an annotation"),
        ("def activation(x) return x", "syntax: line 1"),
        ("", "forbidden"),
        (
            "def activation(x):\n    t = (1 < 2) + (1 < 2)\n    return x * t ** t ** t ** t ** t",
            "forbidden: line 2: no tensor",
        ),
        ("def activation(x): return x * (-1) ** 0.5", r"number: line 1: `\(-1\) \*\* 0.5` is no real number"),
        (NESTED, "size: line 7: more than 4 loops"),
        ("(" * 3000, "syntax|size"),
        ("x" * 200_000, "size"),
    ],
)
def test_what_is_no_activation_is_refused_unrun(tmp_path, capsys, text, words):
    (tmp_path / "bad.py").write_text(text)
    with pytest.raises(UserError, match=rf"bad.py: no activation: ({words}).*\n.*within the grammar"):
        activations.load(tmp_path / "bad.py")
    assert capsys.readouterr().out == ""


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "binary.py").write_bytes(b"\xff\xfe")
    for name, reason in (("missing.py", "No such file"), ("binary.py", "no text in UTF-8"), (".", "Is a directory")):
        with pytest.raises(UserError, match=f"cannot read an activation: {reason}.*\ngive the path"):
            activations.load(tmp_path / name)


def test_a_stranger_may_write_the_file_by_hand(tmp_path):
    lines = ["# mine", "import torch", "from torch import Tensor", "", "def activation(x: Tensor) -> Tensor:"]
    lines += ['    """Squared tanh."""', "    y = torch.tanh(x)  # bounded", "    return y * y"]
    (tmp_path / "mine.py").write_text("\n".join(lines))
    assert torch.equal(activations.load(tmp_path / "mine.py")(X), X.tanh() * X.tanh())
