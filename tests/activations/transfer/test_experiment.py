"""The whole transfer test in small: which tables there are, and who is compared with whom."""

from math import exp

import pytest
from activations.small import HELD_OUT, fitness, rung, sandbox

from arrange.activations.classical import CLASSICAL
from arrange.activations.evaluation import Measurement
from arrange.activations.programs.files import source_of
from arrange.activations.settings import Networks, Transfer
from arrange.activations.transfer.experiment import (
    as_activations,
    count_steps,
    growth,
    run_transfer,
    shared_sources,
    what_is_picked,
)
from arrange.activations.transfer.tabular import tabular

NETWORKS = Networks(hidden=(4,), steps=2, batch=4, warmup=1, rates=(1e-2,), seeds=(1, 2))
SOURCES = {
    "evolution-7": "def activation(x): return torch.sin(x) + 0.1 * x",
    "random-9": "def activation(x): return torch.atan(x)",
    **{name: source_of(CLASSICAL[name]) for name in ("gelu", "silu", "sin")},
}
FOUND = {"evolution": ["gelu", "evolution-7", "sin", "silu"], "random": ["gelu", "random-9"]}
FITNESS = fitness(test=rung(10, 2, 2, (1e-3, 1e-2), HELD_OUT))
TITLES = {"portfolio evolution", "portfolio random", "portfolio classical", "best of 4 gelu"}
LEARNED = {"la", "moa", "best of 3 la", "best of 3 moa"}  # as many networks as the dictionary has functions


def transferred(*to):
    transfer = Transfer(to, known=(), seed=5, resamples=50, networks=NETWORKS)
    steps = []
    tables = run_transfer(
        SOURCES, FOUND, ["random"], FITNESS, sandbox(), transfer, lambda done, note: steps.append(done)
    )
    assert steps == list(range(1, count_steps(SOURCES, transfer) + 1))
    return tables


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the sandbox has no filter")
def test_held_out_families_and_digits():
    tables = transferred("held_out", "digits")
    names = ["measurements", "by_group", "by_family", "learned", "portfolios", "picks", "growth", "extrapolation"]
    assert list(tables) == names
    rows = tables["measurements"].group_by("group", "activation").len().sort("group", "activation").rows()
    everyone = sorted({*SOURCES, *TITLES})
    held_out = sorted({*everyone, *LEARNED, "best of 3 gelu"})
    assert rows == [("digits", name, 24) for name in everyone] + [("held-out", name, 20) for name in held_out]
    for group, names in (("held-out", held_out), ("digits", everyone)):
        assert set(tables["by_group"].filter(group=group)["activation"]) == {*names} - {"gelu"}
    assert set(tables["by_family"]["group"]) == set(HELD_OUT)
    rivals = tables["portfolios"].group_by("rival", maintain_order=True).agg("activation").rows()
    assert [(rival, set(names)) for rival, names in rivals] == [
        ("gelu", TITLES),
        *((rival, TITLES - {rival}) for rival in ("best of 4 gelu", "portfolio classical", "portfolio random")),
    ]
    learned = tables["learned"].group_by("rival", maintain_order=True).agg("activation").rows()
    assert [(rival, set(names)) for rival, names in learned] == [
        (rival, LEARNED) for rival in ("gelu", "best of 3 gelu", "portfolio classical")
    ]
    assert set(tables["extrapolation"]["activation"]) == set(SOURCES)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the sandbox has no filter")
def test_digits_alone():
    tables = transferred("digits")
    assert list(tables) == ["measurements", "by_group", "portfolios", "picks", "growth", "extrapolation"]
    assert set(tables["measurements"]["group"]) == {"digits"}


def measured(*cells):
    """Two seeds of one problem: pairs of validation error and log error."""
    return [Measurement("test", "p 0", "p", seed, 0.1, 0.0, valid, exp(log)) for seed, (valid, log) in enumerate(cells)]


MEASURED = {"toy": {"gelu": measured((2, 0.0), (1, -0.4)), "sin": measured((1, -0.6), (3, 9.0))}}


def test_portfolios_and_the_control_stand_in_the_table_like_activations():
    found = as_activations(MEASURED["toy"], {"both": ["gelu", "sin"]}, 3)  # of two seeds there are no three
    assert {name: [one.ood for one in measured] for name, measured in found.items()} == {
        "portfolio both": pytest.approx([exp(-0.6), exp(-0.4)]),
        "best of 3 gelu": pytest.approx([exp(-0.4), exp(-0.4)]),
    }


def test_learned_activations_have_a_control_of_as_many_networks_as_the_classical_portfolio_has_members():
    of_group = MEASURED["toy"] | {"la": measured((1, -0.5), (2, 9.0)), "moa": measured((2, -0.1), (2, -0.2))}
    found = as_activations(of_group, {"classical": ["gelu", "sin"], "long": ["gelu", "sin", "gelu"]}, 3)
    assert {name: [one.ood for one in measured] for name, measured in found.items()} == {
        "portfolio classical": pytest.approx([exp(-0.6), exp(-0.4)]),
        "portfolio long": pytest.approx([exp(-0.6), exp(-0.4)]),
        "best of 3 gelu": pytest.approx([exp(-0.4), exp(-0.4)]),
        "best of 2 gelu": pytest.approx([exp(-0.4), exp(-0.4)]),
        "best of 2 la": pytest.approx([exp(-0.5), exp(-0.5)]),
        "best of 2 moa": pytest.approx([exp(-0.1), exp(-0.2)]),
    }


def test_what_was_picked_where():
    assert what_is_picked(MEASURED, {"both": ["gelu", "sin"]}).rows() == [
        ("both", "toy", "p", "gelu", 0.5),
        ("both", "toy", "p", "sin", 0.5),
    ]


def test_growth_beside_the_control():
    assert growth(MEASURED, {"both": ["gelu", "sin"]}, 4).rows() == [
        ("both", "toy", 1, 0.0),
        ("both", "toy", 2, pytest.approx((-0.6 + 0) / 2)),
        ("gelu seeds", "toy", 1, 0.0),
        ("gelu seeds", "toy", 2, pytest.approx((-0.4 + 0) / 2)),
    ]


def test_problems_that_share_a_table_or_an_equation_are_one_cluster():
    shared = shared_sources({"tabular": tabular(5)}, FITNESS, 5)
    assert shared["wine 1 low end"] == "wine"
    equations = {name: source for name, source in shared.items() if name.startswith("feynman_test")}
    assert len(equations) == 2
    assert all(": " in source for source in equations.values())
