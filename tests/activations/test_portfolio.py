"""Portfolios from made-up tables, where every number can be worked out by hand."""

from math import exp, inf, nan

import pytest
import torch

from arrange.activations.evaluation import Measurement
from arrange.activations.portfolio import (
    best_of_seeds,
    family_gains,
    fit_and_pick,
    gain,
    grow,
    load,
    measurements,
    pick,
    picks,
    save,
)
from arrange.errors import UserError


def measured(*cells, family="a", seed=0):
    """Measurements of the problems `<family> 0`, `<family> 1` ... from pairs: validation error, log OOD error."""
    return [
        Measurement("test", f"{family} {number}", family, seed, 0.1, 0.0, valid, exp(ood))
        for number, (valid, ood) in enumerate(cells)
    ]


GELU = measured((3, 0.0), (3, 0.0), (3, 0.0))
SIN = measured((1, -0.9), (5, -9.0), (2, 0.3))  # picked on 0 and 2
SILU = measured((2, 1.0), (2, -0.6), (4, 1.0))  # picked on 1


def test_validation_in_distribution_picks_and_nothing_else_does():
    found = pick({"gelu": GELU, "sin": SIN, "silu": SILU})
    assert {problem: name for (problem, _), (name, _) in found.items()} == {"a 0": "sin", "a 1": "silu", "a 2": "sin"}
    assert [one.ood for one in measurements({"gelu": GELU, "sin": SIN})] == pytest.approx([exp(-0.9), 1, exp(0.3)])


def test_the_first_of_equals_is_picked_and_one_that_diverged_is_not():
    members = {"one": measured((1, 0.1), (inf, 0.2)), "other": measured((1, 0.3), (9, 0.4))}
    assert [name for name, _ in pick(members).values()] == ["one", "other"]
    assert [name for name, _ in pick(dict(reversed(members.items()))).values()] == ["other", "other"]


def test_every_seed_picks_for_itself():
    members = {
        "gelu": measured((1, 0.0)) + measured((1, 0.0), seed=1),
        "sin": measured((0, -1.0)) + measured((2, -1.0), seed=1),
    }
    assert {seed: name for (_, seed), (name, _) in pick(members).items()} == {0: "sin", 1: "gelu"}
    assert picks(members) == {"a": {"gelu": 0.5, "sin": 0.5}}


def test_what_was_picked_where():
    members = {"gelu": GELU + measured((1, 0.0), family="b"), "sin": SIN + measured((2, 0.0), family="b")}
    assert picks(members) == {"a": {"gelu": 1 / 3, "sin": 2 / 3}, "b": {"gelu": 1, "sin": 0}}


def test_the_gain_is_how_much_the_error_falls_when_the_candidate_may_be_picked_too():
    assert gain({"gelu": GELU}, SIN) == pytest.approx((0.9 + 0 - 0.3) / 3)
    assert gain({"gelu": GELU, "sin": SIN}, SILU) == pytest.approx(0.6 / 3)
    assert gain({"gelu": GELU}, GELU) == 0
    assert gain({"gelu": GELU}, measured((9, -1.0), (9, -1.0), (9, -1.0))) == 0  # never picked


def test_families_weigh_the_same_in_a_gain():
    gelu, both = GELU + measured((3, 0.0), family="b"), SIN + measured((1, -0.5), family="b")
    assert family_gains({"gelu": gelu}, both) == pytest.approx({"a": 0.2, "b": 0.5})
    assert gain({"gelu": gelu}, both) == pytest.approx(0.35)


def test_a_gain_is_clipped_problem_by_problem():
    assert gain({"gelu": measured((1, 0.0), (1, 0.0))}, measured((0, -9.0), (0, -1.0))) == pytest.approx(1.5)


def test_a_portfolio_grows_by_the_highest_gain_and_stops_where_nothing_gains():
    worse = measured((0, 1.0), (9, 0.0), (9, 0.0))
    pool = {"silu": SILU, "sin": SIN, "worse": worse}
    steps = grow(pool, {"gelu": GELU}, 4)
    # alone: sin +0.2, silu (-1.0 + 0.6) / 3, worse -1 / 3; then silu is picked on problem 1 alone
    assert [step.name for step in steps] == ["sin", "silu"]
    assert [step.gain for step in steps] == pytest.approx([0.2, 0.2])
    assert [step.name for step in grow(pool, {"gelu": GELU}, 2)] == ["sin"]
    assert grow(pool, {"gelu": GELU}, 1) == grow({}, {"gelu": GELU}, 4) == []


def seeded(*valid_and_ood):
    return [one for seed, cell in enumerate(valid_and_ood) for one in measured(cell, seed=10 + seed)]


def test_the_control_takes_the_best_of_the_next_seeds_around_the_end():
    gelu = seeded((3, 0.3), (1, 0.1), (2, 0.2), (4, 0.4))
    found = {one.seed: one.ood for one in best_of_seeds(gelu, 2)}
    assert found == pytest.approx({10: exp(0.1), 11: exp(0.1), 12: exp(0.2), 13: exp(0.3)})
    assert {one.ood for one in best_of_seeds(gelu, 4)} == {exp(0.1)}
    assert sorted(best_of_seeds(gelu, 1), key=lambda one: one.seed) == gelu


def test_a_control_of_more_seeds_than_there_are_is_refused():
    with pytest.raises(UserError, match="3 seeds are wanted of an activation that was trained from 2\n"):
        best_of_seeds(seeded((1, 0), (1, 0)), 3)


def test_the_control_is_the_best_of_equal_networks_in_the_long_run():
    """With errors that validation tells exactly, the best of two of a uniform error has mean 1/3 instead of 1/2."""
    drawn = torch.rand(4000, generator=torch.Generator().manual_seed(0)).tolist()
    cells = [Measurement("test", "a 0", "a", seed, 0.1, 0, error, error) for seed, error in enumerate(drawn)]
    found = [one.ood for one in best_of_seeds(cells, 2)]
    assert sum(found) / len(found) == pytest.approx(1 / 3, abs=0.02)


def test_a_user_gets_the_model_with_the_lowest_validation_error():
    trained = []

    def train(activation):
        trained.append(activation(torch.tensor(1.0)).item())
        return trained[-1]

    functions = {"double": lambda x: 2 * x, "same": lambda x: x, "nothing": lambda x: x * nan, "also": lambda x: x / 1}
    found = fit_and_pick(functions, train, error=lambda model: model)
    assert (found.name, found.model) == ("same", 1.0)
    assert found.errors == {"double": 2.0, "same": 1.0, "nothing": inf, "also": 1.0}
    assert len(trained) == 4


def test_a_user_without_activations_is_told():
    with pytest.raises(UserError, match="a portfolio without activations"):
        fit_and_pick({}, lambda activation: 0, error=float)


def test_a_portfolio_is_read_as_it_was_written_in_order_and_normalised(tmp_path):
    sources = {"relu": "def activation(x): return F.relu(x)", "again-2": "def activation(x): return 3 * torch.sin(x)"}
    save(tmp_path / "portfolio", sources)
    found = load(tmp_path / "portfolio")
    assert list(found) == ["relu", "again-2"]
    x = torch.randn(100_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for function in found.values():
        assert function(x).square().mean().item() == pytest.approx(1, abs=0.02)
    assert torch.allclose(
        found["again-2"](x),
        found["again-2"](torch.ones(1)).double() / torch.sin(torch.ones(1)) * torch.sin(x),
        atol=1e-6,
    )


def test_a_folder_without_activations_is_told(tmp_path):
    with pytest.raises(UserError, match="holds no activation\n"):
        load(tmp_path)
