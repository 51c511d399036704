"""The hostile suite: two walls, each tried alone. None harms, none scores, each gets a recorded reason.

The check of the text is the first wall; `hostile.DEEDS` are carried out behind it, to try the second.
"""

import os
import random
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from activations.sandbox.hostile import DEEDS
from activations.small import sandbox

from arrange.activations.evaluation import Job
from arrange.activations.sandbox.confine import missing
from arrange.activations.sandbox.pool import Pool

GOOD = "def activation(x): return torch.tanh(x)"
LIMITED = sandbox(workers=2, cpu=1, wall=120.0, memory=256)

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"no filter of system calls: {missing()}")


@pytest.fixture(scope="module")
def pool():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SECRET_TOKEN", "hunter2")
        with Pool("activations.sandbox.hostile:do", LIMITED) as running:
            yield running


@pytest.fixture(scope="module")
def canary(tmp_path_factory):
    """A file that no deed may change."""
    path = tmp_path_factory.mktemp("scores") / "score"
    path.write_text("0.0")
    return path


def surroundings(canary) -> tuple:
    """What the suite may not change: the file, the processes, this process's random numbers."""
    return (
        {path.name: path.read_text() for path in canary.parent.iterdir()},
        canary.stat().st_mode,
        set(psutil.Process().children(recursive=True)),
        torch.get_rng_state().numpy().tobytes(),
        random.getstate(),
        np.random.get_state()[1].tobytes(),
        Path.cwd(),
    )


@pytest.fixture(scope="module")
def outcomes(pool, canary):
    """Every deed and every text, each with an honest job after it, in one run; nothing around has changed."""
    before = surroundings(canary)
    names = [name for name in DEEDS if name != "hang"]
    jobs = [deed(name, canary) for name in names] + [Job(text, {}, {"deed": "honest"}) for text in (*TEXTS, *PASSING)]
    answers = pool([job for bad in jobs for job in (bad, honest())])
    assert surroundings(canary) == before
    assert {answer.arrays["weights"].tobytes() for answer in answers[1::2]} == {answers[1].arrays["weights"].tobytes()}
    return dict(zip([*names, *TEXTS, *PASSING], answers[::2], strict=True))


def deed(name, canary) -> Job:
    return Job(GOOD, {}, {"deed": name, "canary": str(canary), "pool": os.getpid()})


def honest() -> Job:
    x = np.linspace(-1, 1, 80, dtype=np.float32).reshape(10, 8)
    return Job(GOOD, {"x": x}, {"deed": "honest", "seed": 0})


BY_REASON = {
    "cpu": ("spin", "spin on"),
    "memory": ("bomb", "tensor bomb"),
    "crashed": ("segfault", "abort", "exit", "close"),
    "output": (
        *("leave", "garbage", "pickle", "deep json", "json that is no object", "short length", "no reason"),
        *("no admission", "odd admission", "flood", "too much", "no arrays", "a list", "objects", "names", "free"),
    ),
}
REASONS = {name: reason for reason, names in BY_REASON.items() for name in names}


TEXTS = [
    "import os; os.system('touch /tmp/owned')",
    "def activation(x):\n    import os\n    return x",
    "def activation(x): return __import__('os').fork()",
    "def activation(x): return x.__class__.__base__.__subclasses__()",
    "def activation(x): return torch.load('scores.pt')",
    "def activation(x): return torch.save(x, 'scores.pt')",
    "def activation(x): return torch.ops.aten.exp(x)",
    "def activation(x): return torch.hub.load('a', 'b')",
    "def activation(x): return torch.from_file('/etc/passwd')",
    "def activation(x): return torch.classes.load_library('x')",
    "def activation(x): return torch._C._set_backcompat_broadcast_warn(x)",
    "def activation(x): return torch.manual_seed(0)",
    "def activation(x): return x * torch.rand(1)",
    "def activation(x): return open('/etc/passwd').read()",
    "def activation(x): return x.data.zero_()",
    "def activation(x): return x.register_hook(print)",
    "def activation(x): return x.__setattr__('requires_grad', True)",
    "def activation(x): return x.mul_(2)",
    "def activation(x): return torch.exp(x, out=x)",
    "def activation(x): return x.numpy().tofile('scores')",
    "def activation(x): return F.dropout(x)",
    "def activation(x):\n    while True: x = x\n    return x",
    "def activation(x):\n    for _ in range(10**9): x = x\n    return x",
    "def activation(x): return activation(x)",
    "def activation(x, memory=[]): return memory.append(x) or x",
    "def activation(x):\n    global calls\n    calls = 1\n    return x",
    "def activation(x):\n    activation.calls = 1\n    return x",
    "def activation(x):\n    torch.exp = torch.sin\n    return x",
    "def activation(x): return (lambda f: f(f))(lambda f: f(f))",
    "def activation(x): return [x for _ in range(10)][0]",
    "def activation(x): return f'{x.__class__}'",
    "def activation(x): return x.half()",
    "def activation(x): return torch.complex(x, x)",
    "def activation(x): return x.repeat(10**6)",
    "@exec\ndef activation(x): return x",
    "class activation:\n    def __new__(cls, x): return x",
    "def activation(x): return " + "(" * 300 + "x" + ")" * 300,
    "def activation(x): return " + "-" * 3000 + "x",
    "def activation(x): return x +" + " x +" * 3000,
    "def activation(x): return 1" + "0" * 3900,
    "def activation(x): return x * 10 ** 10 ** 10",
    "def activation(x):\n    t = (1 < 2) + (1 < 2)\n    return x * t ** t ** t ** t ** t",
    "def activation(x): return x * (-1) ** 0.5",
    "def activation(x): return torch.exp(2)",
    "def activation(x): return x + math.sqrt(x.mean())",
    "def activation(x):\n" + "".join("    " * n + "for _ in range(1):\n" for n in range(1, 26)) + "    " * 26 + "x = x",
    "def activation(x): return x +",
    "\0",
    "",
]
PASSING = {
    "def activation(x): return x.mean()": "shape",
    "def activation(x): return x > 0": "shape",
    "def activation(x): return 0": "shape",
    "def activation(x): return x + x.sum(dim=-1)": "error",
    "def activation(x): return torch.where((x + 1e-9) - x == 0, x, x * 2)": "precision",
    "def activation(x): return torch.where(x * 8 == torch.round(x * 8), torch.sin(x), x)": "curve",
    "def activation(x): return x / torch.abs(x).sum()": "gain",
    "def activation(x): return torch.where(x > 5000, x / (x - x), x)": "not_finite",
    "def activation(x): return torch.exp(x)": "not_finite",
    "def activation(x): return torch.sqrt(torch.abs(x))": "gradient",
    "def activation(x): return torch.sign(x)": "gradient",
    "def activation(x): return 1000 * torch.sin(x)": "gain",
    "def activation(x):\n    y = x.mean()\n    for _ in range(16): y = y.sin()\n    return x + y": "cost",
    "def activation(x):\n    for _ in range(16): x = torch.sin(x)\n    return x": "cost",
}


@pytest.mark.parametrize("name", [name for name in DEEDS if name not in ("late", "hang", "recursion")])
def test_behind_the_check_the_sandbox_contains_it(name, outcomes):
    outcome = outcomes[name]
    assert outcome.reason == REASONS.get(name, "error")
    assert outcome.admitted is None
    assert not outcome.arrays
    assert "hunter2" not in outcome.detail


def test_there_is_nothing_in_its_environment(outcomes):
    assert outcomes["environment"].detail == "RuntimeError: environment {}"
    for process in psutil.Process().children():  # nor ever was, in memory
        assert "SECRET_TOKEN" not in process.environ()


def test_deep_recursion_ends_at_one_of_the_limits(outcomes):
    assert outcomes["recursion"].reason in ("cpu", "memory", "crashed", "error")  # by Python's version


def test_what_would_fail_late_is_plain_numbers_by_then(outcomes):
    assert type(outcomes["late"].arrays["score"]) is np.ndarray


@pytest.mark.slow
def test_one_that_waits_for_ever_is_stopped_by_the_clock(canary):
    with Pool("activations.sandbox.hostile:do", sandbox(wall=2.0)) as short:
        hanging, good = short([deed("hang", canary), honest()])
    assert hanging.reason == "wall"
    assert float(hanging.detail.removeprefix("2 seconds passed, ").removesuffix(" of them computing")) < 2
    assert good.reason == ""


@pytest.mark.parametrize("source", TEXTS, ids=range(len(TEXTS)))
def test_the_check_refuses_the_text(source, outcomes):
    outcome = outcomes[source]
    assert outcome.reason in ("forbidden", "syntax", "size", "number")
    assert outcome.detail
    assert outcome.admitted is None
    assert not outcome.arrays


@pytest.mark.parametrize(("source", "reason"), PASSING.items(), ids=range(len(PASSING)))
def test_what_the_check_lets_through_is_not_admitted(source, reason, outcomes):
    outcome = outcomes[source]
    assert outcome.reason == reason
    assert outcome.admitted is None
    assert not outcome.arrays


def test_the_suite_is_as_long_as_it_says():
    assert len(set(TEXTS)) >= 40
    assert len(DEEDS) >= 40
