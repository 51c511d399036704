"""The whole transfer test in small: which tables there are, and who is compared with whom."""

import pytest
from activations.small import HELD_OUT, fitness, rung, sandbox

from arrange.activations.classical import CLASSICAL
from arrange.activations.programs.files import source_of
from arrange.activations.settings import Networks, Transfer
from arrange.activations.transfer.experiment import count_steps, run_transfer, shared_sources
from arrange.activations.transfer.tabular import tabular

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:the sandbox has no filter")]

NETWORKS = Networks(hidden=(4,), steps=2, batch=4, warmup=1, rates=(1e-2,), seeds=(1,))
SOURCES = {
    "evolution-7": "def activation(x): return torch.sin(x) + 0.1 * x",
    "random-9": "def activation(x): return torch.atan(x)",
    **{name: source_of(CLASSICAL[name]) for name in ("gelu", "relu")},
}
FITNESS = fitness(test=rung(10, 1, 2, (1e-3, 1e-2), HELD_OUT))


def transferred(*to):
    transfer = Transfer(to, found=1, seed=5, resamples=50, networks=NETWORKS)
    steps = []
    tables = run_transfer(
        SOURCES,
        ["evolution-7", "random-9"],
        ["random-9"],
        FITNESS,
        sandbox(),
        transfer,
        lambda done, note: steps.append(done),
    )
    assert steps == list(range(1, count_steps(SOURCES, transfer) + 1))
    return tables


def test_held_out_families_and_digits():
    tables = transferred("held_out", "digits")
    assert list(tables) == ["measurements", "by_group", "by_family", "winners", "extrapolation"]
    rows = tables["measurements"].group_by("group", "activation").len().sort("group", "activation").rows()
    assert rows == [(group, name, n) for group, n in (("digits", 12), ("held-out", 10)) for name in sorted(SOURCES)]
    others = {"evolution-7", "random-9", "relu"}
    for group in ("held-out", "digits"):
        assert set(tables["by_group"].filter(group=group)["activation"]) == others
    assert set(tables["by_family"]["group"]) == set(HELD_OUT)
    winners = tables["winners"].group_by("rival", maintain_order=True).agg("activation").rows()
    assert [(rival, set(names)) for rival, names in winners] == [
        ("gelu", {"evolution-7", "random-9"}),
        ("relu", {"evolution-7", "random-9"}),
        ("random-9", {"evolution-7"}),
    ]
    assert set(tables["extrapolation"]["activation"]) == set(SOURCES)


def test_digits_alone():
    tables = transferred("digits")
    assert list(tables) == ["measurements", "by_group", "winners", "extrapolation"]
    assert set(tables["measurements"]["group"]) == {"digits"}


def test_problems_that_share_a_table_or_an_equation_are_one_cluster():
    shared = shared_sources({"tabular": tabular(5)}, FITNESS, 5)
    assert shared["wine 1 low end"] == "wine"
    equations = {name: source for name, source in shared.items() if name.startswith("feynman_test")}
    assert len(equations) == 2
    assert all(": " in source for source in equations.values())
